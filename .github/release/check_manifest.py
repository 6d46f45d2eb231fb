"""Print the digest of an image index from `docker buildx imagetools inspect --raw`, if the image is complete."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from typing import Any

PLATFORMS = ("linux/amd64", "linux/arm64")


def problems(index: dict[str, Any]) -> list[str]:
    """Return problems of the index, which must have each platform once, with an attestation."""
    images: list[tuple[str, str]] = []
    attested = set()
    for manifest in index.get("manifests", []):
        annotations = manifest.get("annotations", {})
        if annotations.get("vnd.docker.reference.type") == "attestation-manifest":
            attested.add(annotations.get("vnd.docker.reference.digest"))
        else:
            platform = manifest.get("platform", {})
            images.append((f"{platform.get('os')}/{platform.get('architecture')}", manifest.get("digest")))
    count = Counter(platform for platform, _ in images)
    return [
        *(f"{platform} occurs {count[platform]} times" for platform in PLATFORMS if count[platform] != 1),
        *(f"{platform} is unexpected" for platform in count if platform not in PLATFORMS),
        *(f"{platform} has no attestation" for platform, digest in images if digest not in attested),
    ]


def main() -> None:
    """Print the digest of the index on standard input, or exit with 1 and its problems."""
    raw = sys.stdin.buffer.read()
    try:
        found = problems(json.loads(raw))
    except ValueError as error:
        sys.exit(f"Standard input is not an image index: {error}.")
    if found:
        sys.exit(f"The image is incomplete: {'; '.join(found)}.")
    sys.stdout.write(f"sha256:{hashlib.sha256(raw).hexdigest()}\n")


if __name__ == "__main__":
    main()
