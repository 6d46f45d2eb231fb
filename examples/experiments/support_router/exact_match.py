"""Did the ticket reach exactly the expected queue?"""

from collections.abc import Mapping


def exact_match(output: str, expected: Mapping[str, str]) -> bool:
    """Compare the queue's name with the expected one."""
    return output == expected["expected_output"]
