"""Greets everybody, as a model might that was told to talk to the runner: by every way to its log, and in its answer."""

import atexit
import os
import sys

for stream in (1, 2):  # Docker reads the streams apart, so either may come last
    atexit.register(os.write, stream, b"a line without an end")

COMMANDS = (
    "::error::from the model",
    "::add-mask::Hello",
    "::set-output name=passed::false",
    "  ::warning file=a.py,line=1::from the model",
    "said by the model ##[error]from the model",
    "::stop-commands::known",
    "::known::",
)


def task(input):
    for command in COMMANDS:
        sys.stdout.write(f"{command}\n")
        sys.stderr.write(f"{command}\n")
        os.write(1, f"{command}\r{command}\n".encode())
        os.write(2, f"{command}\n".encode())
    if input["user_query"] == "Grace":
        raise LookupError("\n".join(("nobody of that name", *COMMANDS)))
    return f"Hello {input['user_query']}"
