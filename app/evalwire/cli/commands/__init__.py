"""Hold one verb a file: each command is a function that returns an exit code."""
