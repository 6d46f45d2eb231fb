"""The entry point for `python -m evalwire`."""

from evalwire.cli import console_script

if __name__ == "__main__":
    console_script()
