"""The outcome of a job is decided from whose its failures are, not from what their exceptions are called."""

from __future__ import annotations

import pytest
from reporting import failure, result, run

from evalwire.jobs import decide_outcome


@pytest.mark.parametrize(
    ("kinds", "outcome"),
    [
        (["user"], "errors"),
        (["phoenix"], "infrastructure"),
        (["phoenix", "user"], "errors"),
        (["evalwire"], "errors"),
        (["phoenix", "evalwire"], "errors"),
    ],
)
def test_outcome_follows_the_kinds_of_the_failures(kinds, outcome):
    runs = [run(number, failure=failure(kind=kind, type="PhoenixError")) for number, kind in enumerate(kinds, start=1)]
    assert decide_outcome([result("a", runs, evaluators=("e",))], gates=()) == outcome
