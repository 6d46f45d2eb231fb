"""A script that writes docs/evalwire.schema.json, the JSON Schema of evalwire.toml."""  # noqa: INP001

import json
from pathlib import Path

from evalwire.settings import schema

FILE = Path(__file__).with_name("evalwire.schema.json")


def text() -> str:
    """Return the schema as JSON text."""
    return json.dumps(schema.config_schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
