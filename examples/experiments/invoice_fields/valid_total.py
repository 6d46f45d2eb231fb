"""Validity of the total amount."""

import re
from collections.abc import Mapping
from decimal import Decimal


def valid_total(output: Mapping[str, str | None]) -> bool:
    """Check that the total is a positive decimal number with two decimals, correct or not."""
    total = output.get("total") or ""
    return re.fullmatch(r"\d+\.\d{2}", total) is not None and Decimal(total) > 0
