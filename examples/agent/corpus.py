"""Search the help center with BM25."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agent.text import terms

_SATURATION = 1.4  # BM25's k1: how quickly a repeated term stops counting
_LENGTH_WEIGHT = 0.7  # BM25's b: how much long documents are penalized
_TITLE_WEIGHT = 2  # words of a title count twice


@dataclass(frozen=True, slots=True)
class Document:
    """An article of the help center."""

    id: str
    title: str
    body: str


class Index:
    """A BM25 index over a fixed set of documents."""

    def __init__(self, documents: list[Document]) -> None:
        self._counts = {
            document.id: Counter(terms(document.title) * _TITLE_WEIGHT + terms(document.body)) for document in documents
        }
        self._lengths = {doc_id: counts.total() for doc_id, counts in self._counts.items()}
        self._mean_length = sum(self._lengths.values()) / len(documents)
        self._document_frequency = Counter(term for counts in self._counts.values() for term in counts)

    def search(self, query: str, *, limit: int = 5) -> list[str]:
        """Return the IDs of documents that share a term with `query`, best first."""
        wanted = set(terms(query))
        scores = {doc_id: self._score(doc_id, wanted) for doc_id in self._counts}
        found = [doc_id for doc_id, score in scores.items() if score > 0]
        return sorted(found, key=lambda doc_id: (-scores[doc_id], doc_id))[:limit]

    def _score(self, doc_id: str, wanted: set[str]) -> float:
        """Return the BM25 score of a document for the query terms."""
        counts = self._counts[doc_id]
        relative_length = self._lengths[doc_id] / self._mean_length
        damping = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * relative_length)
        return math.fsum(
            self._rarity(term) * counts[term] * (_SATURATION + 1) / (counts[term] + damping)
            for term in wanted
            if term in counts
        )

    def _rarity(self, term: str) -> float:
        """Return the inverse document frequency of a term, which is always positive."""
        frequency = self._document_frequency[term]
        return math.log(1 + (len(self._counts) - frequency + 0.5) / (frequency + 0.5))


@cache
def help_centre() -> Index:
    """Load and index the articles of the help center, once."""
    text = Path(__file__).with_name("corpus.json").read_text(encoding="utf-8")
    return Index([Document(**article) for article in json.loads(text)])


def search(query: str, *, limit: int = 5) -> list[str]:
    """Return the IDs of the best articles for `query`, best first."""
    return help_centre().search(query, limit=limit)
