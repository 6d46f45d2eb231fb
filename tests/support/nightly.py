"""Leave most cases of a costly test to the nightly run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest


def mostly_nightly(cases: Sequence[Any], *, kept: Collection[int] = (0,)) -> list[Any]:
    """Return the cases of a parametrized test, marked as slow but for those at the positions `kept`."""
    return [case if index in kept else _slow(case) for index, case in enumerate(cases)]


def _slow(case: Any) -> Any:
    if isinstance(case, type(pytest.param())):
        return pytest.param(*case.values, marks=(*case.marks, pytest.mark.slow), id=case.id)
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
