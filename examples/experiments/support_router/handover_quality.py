"""Quality of the handover to a support desk."""

from collections.abc import Mapping
from typing import Any

# Desks that pass tickets to each other without asking the customer again.
NEIGHBOURS = (
    {"billing", "sales"},
    {"billing", "account"},
    {"account", "technical"},
    {"scheduling", "technical"},
)


async def handover_quality(output: str, expected: Mapping[str, str]) -> dict[str, Any]:
    """Grade the handover by fixed criteria.

    An LLM judge would await its model here, with the ticket, the queue and the criteria in its prompt, and return the
    grade and the explanation of the model.
    """
    wanted = expected["expected_output"]
    if output == wanted:
        return {"score": 1.0, "label": "direct", "explanation": f"{output} can help immediately"}
    if {output, wanted} in NEIGHBOURS:
        return {"score": 0.5, "label": "passed on", "explanation": f"{output} passes it on to {wanted}"}
    return {"score": 0.0, "label": "dead end", "explanation": f"{output} cannot help, {wanted} was expected"}
