"""`pin_image.py FILE NAME@sha256:...` writes the released image into the action, so that a tag means that image."""

from __future__ import annotations

import re
import sys
from pathlib import Path

PLACE = re.compile(r'^( *RELEASED_IMAGE: )""(  # written by the release workflow)$', re.MULTILINE)
IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")


def pinned(action: str, image: str) -> str:
    """The action's text with the image in its one place.

    Raises:
        ValueError: the image is not named by its digest, or there is no place for it, or more than one.
    """
    if not IMAGE.fullmatch(image):
        raise ValueError(f"{image!r} is not NAME@sha256: and 64 hexadecimal digits")
    text, count = PLACE.subn(lambda place: f'{place[1]}"{image}"{place[2]}', action)
    if count != 1:
        raise ValueError(f"there are {count} lines with an empty RELEASED_IMAGE, and one is expected")
    return text


def main(file: str, image: str) -> None:
    """Rewrite the file, or end with 1 and leave it as it is."""
    path = Path(file)
    try:
        text = pinned(path.read_bytes().decode(), image)
    except ValueError as error:
        sys.exit(f"{file} is not pinned: {error}.")
    path.write_bytes(text.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
