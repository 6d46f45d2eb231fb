"""The task: takes an example and returns the output of your application."""

from typing import Any

WORDS = {
    "billing": ("charged", "invoice", "card", "refund"),
    "account": ("password", "account", "log in"),
    "technical": ("crash", "error", "slow"),
}


async def task(example: Any) -> str:
    """Route a ticket to a team by keywords. Replace the body with a call to your application."""
    ticket = example.input["user_query"].lower()
    for team, words in WORDS.items():
        if any(word in ticket for word in words):
            return team
    return "other"
