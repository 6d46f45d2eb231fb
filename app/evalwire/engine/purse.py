"""The purse: decides whether the budget of a job allows another run (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire import clocks
from evalwire.model import Amount, cost_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalwire.model import Budget, Usage


_NOTHING = Amount()


@dataclass(slots=True, eq=False)
class Reservation:
    """A part of the budget, reserved for a run in flight.

    Attributes:
        started_at: the time of the start, on the purse's clock.
        paid: the usage of the calls of the run so far.
        largest_call: the largest usage of a call of the run so far.
        before_retry: the usage before the last retry. The retry may use as much as another run.
        is_unknown: whether the usage of a call is not known, although the budget limits it.
    """

    started_at: float = 0.0
    paid: Amount = _NOTHING
    largest_call: Amount = _NOTHING
    before_retry: Amount = _NOTHING
    is_unknown: bool = False


class Purse:
    """Admits runs while the budget lasts.

    A run is admitted if the budget covers the usage of all finished runs, and the largest known usage for the new run
    and for each run in flight. If the usage of no run is known, the first run is alone in flight. As long as no run has
    used anything, for example because the first runs failed, at most as many runs are in flight as have ended. The job
    exceeds its budget at most by the excess of the runs in flight after the last admission. The excess of a run is the
    difference between its usage and the largest usage known at this admission.

    The purse closes when it cannot admit a run although no run is in flight, when a call of unknown usage ends, and at
    the deadline. It never opens again.

    An instance belongs to a single event loop and must not be called from other threads.

    Attributes:
        spent: the usage of finished runs, and of earlier attempts of the job.
        largest: the largest known usage of a run; None if it is not known.
        longest: the longest time from the start of a run to its end, in seconds.
        closed: the reason why no further run is admitted; empty if runs are admitted.
        is_unknown: whether the purse was closed because the usage of a call is not known.

    Args:
        budget: the limits, and the usage of earlier attempts.
        clock: a function that returns monotonic seconds.
    """

    def __init__(self, budget: Budget, *, clock: Callable[[], float] = clocks.monotonic) -> None:
        self.spent = budget.spent
        self.largest = budget.largest
        self.longest = 0.0
        self.closed = ""
        self._budget = budget
        self._clock = clock
        self.is_unknown = False
        self._settled = 0
        self._in_flight: set[Reservation] = set()

    @property
    def committed(self) -> Amount:
        """The usage of finished runs, and the usage to expect of the runs in flight."""
        total = self.spent
        for reservation in self._in_flight:
            total += self._expected(reservation)
        return total

    def admit(self) -> Reservation | None:
        """Return the reservation of a run that may start now; None if it must wait, or if the purse is closed."""
        if self._is_late():
            self._close(f"the next run may exceed the budget of {self._budget.max_seconds:g} s")
        if self.closed:
            return None
        if self._budget.limits_usage and (refusal := self._refusal(self.largest or _NOTHING)):
            if not self._in_flight:
                self._close(refusal)
            return None
        is_blind = self._budget.limits_usage and (self.largest or _NOTHING) == _NOTHING
        if is_blind and len(self._in_flight) >= max(1, self._settled):
            return None
        reservation = Reservation(self._clock())
        self._in_flight.add(reservation)
        return reservation

    def allows_retry(self, reservation: Reservation) -> bool:
        """Check whether a call of a run may be retried, and reserve as much as for a run."""
        if self.closed:
            return False
        more = (self.largest or _NOTHING).at_least(reservation.largest_call)
        additional = Amount(
            usd=reservation.paid.usd + more.usd - self._expected(reservation).usd,
            tokens=reservation.paid.tokens + more.tokens - self._expected(reservation).tokens,
        )
        if self._refusal(additional):
            return False
        reservation.before_retry = reservation.paid
        return True

    def pay(self, reservation: Reservation, usage: Usage | None) -> None:
        """Count the usage of a call of a run; unknown usage closes the purse."""
        if usage:
            amount = self._budget.amount_of(usage)
            reservation.paid += amount
            reservation.largest_call = reservation.largest_call.at_least(amount)
        if reason := self._budget.unknown_in(usage):
            reservation.is_unknown = True
            self._close_unknown(reason)

    def add(self, usage: Usage | None) -> None:
        """Count the usage of a recorded run of an earlier attempt, as far as it is recorded."""
        amount = self._budget.amount_of(usage)
        self.spent += amount
        self.largest = amount.at_least(self.largest or _NOTHING)
        if usage is not None and (reason := self._budget.unknown_in(usage)):
            self._close_unknown(reason)

    def settle(self, reservation: Reservation) -> bool:
        """Move the usage of a run that has ended to the spent usage; return whether the run was in flight."""
        if reservation not in self._in_flight:
            return False
        self._settled += 1
        self._in_flight.discard(reservation)
        if reservation.paid is not _NOTHING:
            self.spent += reservation.paid
            self.largest = reservation.paid.at_least(self.largest or _NOTHING)
        elif self.largest is None:
            self.largest = _NOTHING
        self.longest = max(self.longest, self._clock() - reservation.started_at)
        return True

    @property
    def is_first_free(self) -> bool:
        """True if the usage is limited, and only one run has ended, which used nothing."""
        is_free = self.spent == _NOTHING and not self.is_unknown
        return self._settled == 1 and is_free and self._budget.limits_usage

    def close_late(self) -> None:
        """Close the purse at the deadline."""
        self._close(f"the budget of {self._budget.max_seconds:g} s is used up")

    @property
    def seconds_left(self) -> float | None:
        """The seconds until the deadline; None without a deadline."""
        deadline = self._budget.deadline
        return None if deadline is None else deadline - self._clock()

    def _expected(self, reservation: Reservation) -> Amount:
        return reservation.paid.at_least(reservation.before_retry + (self.largest or _NOTHING))

    def _is_late(self) -> bool:
        left = self.seconds_left
        return left is not None and left <= self.longest

    def _refusal(self, additional: Amount) -> str:
        """Return why the budget does not allow an additional amount; empty if it does."""
        limit = self._budget.exceeded_by(self.committed + additional)
        if limit is None:
            return ""
        spent, more = (
            (cost_text(self.spent.usd), cost_text(additional.usd))
            if limit.endswith("USD")
            else (f"{self.spent.tokens:,} tokens", f"{additional.tokens:,}")
        )
        return f"{spent} of the budget of {limit} are used, and the next run may use {more}"

    def _close_unknown(self, reason: str) -> None:
        self.is_unknown = self.is_unknown or not self.closed
        self._close(reason)

    def _close(self, reason: str) -> None:
        self.closed = self.closed or reason
