"""Print the JSON Schema of `results.json`, generated from its declaration; `make schema` writes it to docs/."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from evalwire.reports.results_json import document


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the files that this version writes: all fields are required, and no others allowed."""
    _, definitions = msgspec.json.schema_components([document.Results], ref_template="#/$defs/{name}")
    definitions = {name: _strict(definition) for name, definition in definitions.items()}
    results = definitions.pop("Results")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **results,
        "title": "results.json of evalwire",
        "description": " ".join(results["description"].split()),
        "$defs": definitions,
    }


def _strict(part: Any) -> Any:
    """Return a part of a schema in which objects require all of their fields and allow no others."""
    if isinstance(part, list):
        return [_strict(item) for item in part]
    if not isinstance(part, dict):
        return part
    found = {key: _strict(value) for key, value in part.items() if key != "default"}
    if "properties" in part:
        found |= {"required": list(part["properties"]), "additionalProperties": False}
    if found.get("anyOf", [])[:2] == [{"type": "integer"}, {"type": "number"}]:  # integers are numbers
        found["type"] = ["number", *(other["type"] for other in found.pop("anyOf")[2:])]
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), ensure_ascii=False, indent=2) + "\n")
