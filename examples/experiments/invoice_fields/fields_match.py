"""Share of the fields that are correct."""

import json
from collections.abc import Mapping


def fields_match(output: Mapping[str, str | None], expected: Mapping[str, str]) -> tuple[float, str, str]:
    """Compare each field with the expected JSON, and name the fields that differ."""
    wanted = json.loads(expected["expected_output"])
    wrong = [name for name in wanted if output.get(name) != wanted[name]]
    explanation = "; ".join(f"{name}: {output.get(name)!r}, expected {wanted[name]!r}" for name in wrong)
    return 1 - len(wrong) / len(wanted), "differs" if wrong else "equal", explanation
