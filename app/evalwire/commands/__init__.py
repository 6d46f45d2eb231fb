"""One verb a file: a plain function that joins stages and returns an exit code."""
