"""Is the total an amount that could be paid?"""

import re
from collections.abc import Mapping
from decimal import Decimal


def valid_total(output: Mapping[str, str | None]) -> bool:
    """Accept plain decimal text with two decimals that is above zero, right or not."""
    total = output.get("total") or ""
    return re.fullmatch(r"\d+\.\d{2}", total) is not None and Decimal(total) > 0
