"""`pin_image.py FILE NAME@sha256:...` writes the released image into the action, so that a tag refers to that image."""

from __future__ import annotations

import re
import sys
from pathlib import Path

PLACE = re.compile(r'^( *RELEASED_IMAGE: )""(  # written by the release workflow)$', re.MULTILINE)
IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")


def pinned(action: str, image: str) -> str:
    """Return the text of the action with the image.

    Raises:
        ValueError: the image has no digest, or the text does not have a single empty RELEASED_IMAGE.
    """
    if not IMAGE.fullmatch(image):
        raise ValueError(f"{image!r} is not NAME@sha256: and 64 hexadecimal digits")
    text, count = PLACE.subn(lambda place: f'{place[1]}"{image}"{place[2]}', action)
    if count != 1:
        raise ValueError(f"expected one line with an empty RELEASED_IMAGE, found {count}")
    return text


def main(file: str, image: str) -> None:
    """Rewrite the file, or exit with 1 and leave it unchanged."""
    path = Path(file)
    try:
        text = pinned(path.read_bytes().decode(), image)
    except ValueError as error:
        sys.exit(f"{file} is not pinned: {error}.")
    path.write_bytes(text.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
