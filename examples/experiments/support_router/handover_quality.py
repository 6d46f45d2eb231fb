"""How far from help does the customer end up?"""

from collections.abc import Mapping
from typing import Any

# Desks that sit together and pass a ticket on without asking the customer again.
NEIGHBOURS = (
    {"billing", "sales"},
    {"billing", "account"},
    {"account", "technical"},
    {"scheduling", "technical"},
)


async def handover_quality(output: str, expected: Mapping[str, str]) -> dict[str, Any]:
    """Grade the handover by a fixed rubric.

    An LLM judge would await its model here, with the ticket, the queue and this rubric in its prompt,
    and return the grade and the reason it gives.
    """
    wanted = expected["expected_output"]
    if output == wanted:
        return {"score": 1.0, "label": "direct", "explanation": f"{output} can help at once"}
    if {output, wanted} in NEIGHBOURS:
        return {"score": 0.5, "label": "passed on", "explanation": f"{output} passes it on to {wanted}"}
    return {"score": 0.0, "label": "dead end", "explanation": f"{output} cannot help, {wanted} was expected"}
