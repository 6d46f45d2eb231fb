"""Run several commands that test the image, on one image and one pair of Phoenix servers, and remove both at the end.

python tests/support/image_session.py COMMAND ... -- COMMAND ...
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from itertools import groupby

VARIABLE = "EVALWIRE_TEST_IMAGE_SESSION"


def label(session: str) -> str:
    """Return the label of the containers and networks of a session."""
    return f"evalwire.tests={session}"


def image(session: str) -> str:
    """Return the name of the image of a session."""
    return f"evalwire:test-{session}"


def clean_up(session: str) -> None:
    """Remove all that a session started or created, and its image; its layers stay in the build cache."""
    kinds = {
        ("ps", "-aq"): ("rm", "-fv"),
        ("network", "ls", "-q"): ("network", "rm"),
        ("volume", "ls", "-q"): ("volume", "rm"),
    }
    for listing, removal in kinds.items():
        filtered = ["docker", *listing, "--filter", f"label={label(session)}"]
        found = subprocess.run(filtered, capture_output=True, text=True, check=False).stdout.split()
        if found:
            subprocess.run(["docker", *removal, *found], capture_output=True, check=False)
    subprocess.run(["docker", "image", "rm", image(session)], capture_output=True, check=False)


def main(words: list[str]) -> int:
    """Run the commands, one after the other; the exit code is 1 where one failed."""
    session = uuid.uuid4().hex[:8]
    commands = [list(command) for is_end, command in groupby(words, key="--".__eq__) if not is_end]
    try:
        codes = [subprocess.run(command, env={**os.environ, VARIABLE: session}).returncode for command in commands]
    finally:
        if shutil.which("docker") is not None:
            clean_up(session)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
