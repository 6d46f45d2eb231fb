"""Route support tickets to a queue with naive Bayes over past tickets."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from agent.text import terms

if TYPE_CHECKING:
    from collections.abc import Iterable

OUT_OF_SCOPE = "out_of_scope"


class Router:
    """A multinomial naive Bayes classifier with add-one smoothing."""

    def __init__(self, tickets: Iterable[tuple[str, str]]) -> None:
        self._word_counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._ticket_counts: Counter[str] = Counter()
        for text, queue in tickets:
            self._word_counts[queue].update(terms(text))
            self._ticket_counts[queue] += 1
        self._vocabulary = {term for counts in self._word_counts.values() for term in counts}

    def route(self, text: str) -> str:
        """Return the most likely queue for a ticket, or `out_of_scope` if no word is known."""
        known = [term for term in terms(text) if term in self._vocabulary]
        if not known:
            return OUT_OF_SCOPE
        return max(sorted(self._ticket_counts), key=lambda queue: self._log_likelihood(queue, known))

    def _log_likelihood(self, queue: str, known: list[str]) -> float:
        """Return the log of the queue's prior times the likelihood of the known terms."""
        counts = self._word_counts[queue]
        prior = math.log(self._ticket_counts[queue] / self._ticket_counts.total())
        size = counts.total() + len(self._vocabulary)
        return prior + math.fsum(math.log((counts[term] + 1) / size) for term in known)


@cache
def trained_router() -> Router:
    """Train the router on the past tickets, once."""
    text = Path(__file__).with_name("tickets.json").read_text(encoding="utf-8")
    return Router((ticket, queue) for queue, tickets in json.loads(text).items() for ticket in tickets)


def route(text: str) -> str:
    """Return the queue that should handle a ticket."""
    return trained_router().route(text)
