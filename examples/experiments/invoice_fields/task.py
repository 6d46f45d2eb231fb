"""Read the fields of an invoice."""

from collections.abc import Mapping

from agent.invoices import extract


def task(input: Mapping[str, str]) -> dict[str, str | None]:
    """Return the fields by name, with None for missing fields."""
    return extract(input["user_query"])
