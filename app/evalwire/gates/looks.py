"""Decide a drop gate before all pairs are known: looks at a growing random sample, or after each round."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from evalwire.gates.gate_results import SLACK
from evalwire.model import DRAWS, SignDraws, SignWalk, chance_of_drop

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOKS = 20
_EARLY = 0.15  # of the significance, in proportion to the information; the rest is for the last look
_CHANCE = 0.015  # of a drop in the whole experiment, below which a gate passes early
_CHANCE_OF_ROUNDS = 0.02  # the same after a round: fewer looks lose less
_LEAST_SHARE = 0.3  # of the information, before which no gate passes
_LEAST_PAIRS = 30
_LEAST_CHANGED = 10
_LEAST_CHANGED_IN_ROUND = 5  # of all examples, not of a part
_WORTHWHILE = 50  # pairs: fewer leave nothing to save by a pass
_TIE = 1e-9  # times the sum of all magnitudes, as in `sign_flip`: a rounding error does not miss a boundary


class DropLooks:
    """Looks at the losses of a drop gate; a loss is how much an example got worse.

    A look fails the gate if the sum of losses crosses a boundary and the mean loss exceeds the tolerance. The
    boundaries spend 15% of the significance before the last look, in proportion to the information, so that the
    whole experiment keeps nearly its full power. A look passes the gate if the chance that the whole experiment shows a
    drop is below 1.5%, or 2% after a round. All drop gates of the experiment share this chance. A pass never
    increases the probability of a false failure. `make statistics` simulates these choices.

    Source: Lan, DeMets 1983, "Discrete Sequential Boundaries for Clinical Trials", Biometrika 70. Jennison, Turnbull
    1999, "Group Sequential Methods with Applications to Clinical Trials", sections 7.2 and 10.3.

    Args:
        pairs: the number of pairs of the whole experiment.
        significance: the significance level of the gate, divided by the number of drop gates of the job.
        tolerance: the mean loss that is allowed.
        is_bool: whether all losses are -1, 0 or 1.
        siblings: the number of drop gates of the experiment, including this gate.
        draws: the number of random choices of signs.

    Attributes:
        count: the number of looks at a growing part, including the whole experiment: at most one for each pair.
        number: the number of the last look.
        chance: at the last look, the chance that the whole experiment would show a drop; None if it was not computed.
        p_value: the p-value of a failure at the last look.
    """

    def __init__(
        self,
        pairs: int,
        *,
        significance: float,
        tolerance: float,
        is_bool: bool,
        siblings: int = 1,
        draws: int = DRAWS,
    ) -> None:
        self._pairs = pairs
        self._significance = significance
        self._tolerance = tolerance
        self._siblings = siblings
        self._signs = SignWalk() if is_bool else SignDraws(pairs, draws=draws)
        self.count = min(LOOKS, pairs)
        self.number = 0
        self.chance: float | None = None
        self.p_value = 1.0

    @property
    def next_at(self) -> int:
        """The number of known pairs at which the next look is due, for looks within a round."""
        return math.ceil(self._pairs * (self.number + 1) / self.count)

    def look(self, losses: Sequence[float], *, share: float | None = None) -> Literal["failed", "passed"] | None:
        """Look at the losses so far; return the status of the gate if it is decided, else None.

        Args:
            losses: the losses of the known pairs in their random order, or the mean losses after a round.
            share: the share of the information after a round of all examples; None for looks within a single round.
        """
        self.number += 1
        is_round = share is not None
        known = len(losses) / self._pairs if share is None else share
        total = self._signs.advance(losses)
        boundary = self._signs.cross(_EARLY * self._significance * known)
        tie = math.fsum(map(abs, losses)) * _TIE
        if total >= boundary - tie and total / len(losses) > self._tolerance + SLACK:
            self.p_value = self._signs.crossed
            return "failed"
        squares = math.fsum(loss * loss for loss in losses)
        final_total, variance = (total, squares * known) if is_round else (total / known, squares / known)
        self.chance = None
        if (
            known >= _LEAST_SHARE
            and self._pairs >= _WORTHWHILE
            and len(losses) >= _LEAST_PAIRS
            and sum(loss != 0 for loss in losses) >= (_LEAST_CHANGED_IN_ROUND if is_round else _LEAST_CHANGED)
        ):
            self.chance = chance_of_drop(final_total, variance, known, tolerance=self._tolerance * self._pairs)
            if self.chance < (_CHANCE_OF_ROUNDS if is_round else _CHANCE) / self._siblings:
                return "passed"
        return None

    def final_p_value(self, losses: Sequence[float]) -> float:
        """Return the p-value of the whole experiment, which accounts for the earlier looks."""
        return self._signs.tail(self._signs.advance(losses))
