"""How many examples may be in flight, in virtual time: no test waits."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from statistics import mean
from typing import Any

import pytest

from evalwire.engine.concurrency import Pace, Ticket


class _Instant(selectors.SelectSelector):
    """Does not wait: its clock jumps to the next timer."""

    now = 0.0

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("everybody waits, and nothing will wake them")
        self.now += 0.0 if ready else timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.instant = _Instant()
        super().__init__(self.instant)

    def time(self) -> float:
        return self.instant.now


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def now() -> float:
    return asyncio.get_running_loop().time()


def take_all(pace: Pace) -> list[Ticket]:
    return list(iter(pace.try_acquire, None))


def window(pace: Pace, *, count: int | None = None) -> None:
    """As many successes as fit in at once, or `count`."""
    tickets = [ticket for ticket in [pace.try_acquire() for _ in range(count or pace.limit)] if ticket]
    for ticket in tickets:
        pace.succeeded(ticket)
        pace.release(ticket)


def auto(**options: Any) -> tuple[Pace, list[tuple[int, int]]]:
    changes: list[tuple[int, int]] = []
    return Pace("auto", on_change=lambda before, after: changes.append((before, after)), **options), changes


# --- the limit -----------------------------------------------------------------------------------------


def test_full_windows_of_successes_double_the_limit():
    """Without a rate limit, it doubles with each full window, up to the highest."""
    pace, changes = auto()
    assert pace.limit == 10
    for _ in range(8):
        window(pace)
    assert changes == [(10, 20), (20, 40), (40, 80), (80, 160), (160, 200)]
    pace.try_acquire()
    assert (pace.limit, pace.highest_reached, pace.in_flight) == (200, 200, 1)


@pytest.mark.parametrize("highest", [1, 7, 10, 25])
def test_the_highest_is_never_passed(highest):
    """Not at the beginning, not by doubling, not after a cut."""
    pace, changes = auto(highest=highest)
    assert pace.limit == min(10, highest)
    for _ in range(3):
        window(pace)
    assert pace.limit == highest
    pace.rate_limited(take_all(pace)[0], None)
    for ticket in list(pace._out):
        pace.release(ticket)
    for _ in range(40):
        window(pace)
    assert pace.limit == highest
    assert all(after <= highest for _, after in changes)


def test_a_job_that_does_not_fill_its_window_does_not_raise_the_limit():
    """What was never in flight proves nothing of what the provider bears."""
    pace, changes = auto()
    for _ in range(50):
        window(pace, count=9)
    assert changes == []
    window(pace)
    assert changes == [(10, 20)]
    for _ in range(50):
        window(pace, count=10)  # which filled the limit before
    assert changes == [(10, 20)]


def test_only_successes_begun_under_a_limit_speak_for_it():
    """Those of examples that were in flight before the last change do not count."""
    pace, changes = auto()
    old = take_all(pace)
    for ticket in old:
        pace.succeeded(ticket)
    assert changes == [(10, 20)]
    new = take_all(pace)
    assert (len(new), pace.in_flight) == (10, 20)
    for ticket in old + new:
        pace.succeeded(ticket)
    assert changes == [(10, 20)]
    for ticket in old:
        pace.release(ticket)
    for ticket in take_all(pace):
        pace.succeeded(ticket)
    assert changes == [(10, 20), (20, 40)]


def test_an_example_of_several_calls_counts_once():
    """A task and its evaluators are one success, else a window would be full before its time."""
    pace, changes = auto()
    first, *others = take_all(pace)
    for ticket in [first] * 10 + others[:-1] * 2:
        pace.succeeded(ticket)
    assert changes == []
    pace.succeeded(others[-1])
    assert changes == [(10, 20)]


def test_a_burst_is_one_cut_and_the_next_one_another():
    """All errors of examples in flight at the first one are the same news."""
    pace, changes = auto()
    window(pace)
    burst = take_all(pace)
    for ticket in burst:
        pace.rate_limited(ticket, None)
    assert changes == [(10, 20), (20, 14)]
    assert pace.try_acquire() is None  # 20 are still in flight
    for ticket in burst:
        pace.release(ticket)
        pace.rate_limited(ticket, None)  # also once it is over
    for ticket in take_all(pace):
        pace.rate_limited(ticket, None)
    assert changes == [(10, 20), (20, 14), (14, 9)]


def test_an_error_begun_before_a_rise_still_cuts():
    """Only cuts, not rises, make the errors of those in flight old news."""
    pace, changes = auto()
    first, *others = take_all(pace)
    for ticket in [first, *others]:
        pace.succeeded(ticket)
    pace.rate_limited(first, None)
    assert changes == [(10, 20), (20, 14)]


def test_after_the_first_rate_limit_the_limit_rises_by_one():
    """Slow start is over; each full window adds one."""
    pace, changes = auto()
    tickets = take_all(pace)
    pace.rate_limited(tickets[0], None)
    for ticket in tickets:
        pace.release(ticket)
    for _ in range(3):
        window(pace)
    assert changes == [(10, 7), (7, 8), (8, 9), (9, 10)]


def test_the_limit_stays_above_zero():
    """One example at a time is the least, and nothing is told that did not change."""
    pace, changes = auto()
    for _ in range(20):
        ticket = pace.try_acquire()
        pace.rate_limited(ticket, None)
        pace.release(ticket)
    assert changes == [(10, 7), (7, 4), (4, 2), (2, 1)]
    window(pace)
    assert pace.limit == 2


@pytest.mark.parametrize("limit", [1, 10, 500])
def test_a_fixed_limit_never_changes(limit):
    """Neither successes nor rate limits move it, nor does the highest of an automatic one."""
    changes = []
    pace = Pace(limit, on_change=lambda *change: changes.append(change))
    for _ in range(5):
        window(pace)
    tickets = take_all(pace)
    for ticket in tickets:
        pace.rate_limited(ticket, None)
    assert (pace.limit, pace.highest_reached, len(tickets), changes) == (limit, limit, limit, [])


@pytest.mark.parametrize(("limit", "highest"), [(0, 200), (-1, 200), ("auto", 0)])
def test_a_limit_that_lets_nothing_run_is_refused(limit, highest):
    """It would wait for ever."""
    with pytest.raises(ValueError, match="limits must be at least 1"):
        Pace(limit, highest=highest)


@pytest.mark.parametrize("capacity", [5, 25, 60, 150])
def test_auto_settles_near_what_the_provider_bears(capacity):
    """Against a provider that refuses all above so many calls at once, it is near that, at the price of few errors."""
    calls = errors = busy = 0
    limits: list[int] = []

    async def main() -> None:
        chance = random.Random(capacity)
        pace = Pace("auto", clock=asyncio.get_running_loop().time)

        async def provider() -> bool:
            nonlocal calls, errors, busy
            calls += 1
            if busy >= capacity:
                errors += 1
                await asyncio.sleep(0.05)
                return False
            busy += 1
            await asyncio.sleep(chance.uniform(0.5, 1.5))
            busy -= 1
            return True

        async def example(ticket: Ticket) -> None:
            tries = 0
            while not await provider():
                pace.rate_limited(ticket, None)
                await asyncio.sleep(chance.uniform(0.5, 1.0) * 2 ** min(tries, 5))
                tries += 1
            pace.succeeded(ticket)
            if pace._last_cut:
                limits.append(pace.limit)
            pace.release(ticket)

        async with asyncio.TaskGroup() as group:
            for _ in range(60 * capacity + 300):
                group.create_task(example(await pace.acquire()))
        assert pace.in_flight == 0

    run(main)
    settled = limits[len(limits) // 4 :]
    assert capacity / 2 <= mean(settled) <= capacity + 2
    assert calls - errors == 60 * capacity + 300
    assert errors < calls / 10


# --- tickets -------------------------------------------------------------------------------------------


def test_waiters_are_served_in_the_order_of_asking():
    """Nobody overtakes, not even one who asks when a ticket is about to be free."""

    async def main() -> None:
        pace, order = Pace(2), []

        async def example(number: int) -> None:
            ticket = await pace.acquire()
            order.append(number)
            assert pace.in_flight <= 2
            await asyncio.sleep(1)
            pace.release(ticket)
            assert pace.try_acquire() is None or len(order) >= 19

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(example(number))
        assert order == list(range(20))

    run(main)


def test_nobody_overtakes_when_a_pause_ends():
    """Between the end of a pause and the moment the loop sees it, a ticket is not for who asks just then."""

    async def main() -> None:
        seconds = [0.0]
        pace = Pace(2, clock=lambda: seconds[0])
        pace.rate_limited(await pace.acquire(), 5.0)
        waiting = asyncio.create_task(pace.acquire())
        await asyncio.sleep(1)
        seconds[0] = 6.0
        assert pace.try_acquire() is None
        await waiting

    run(main)


def test_a_free_ticket_is_had_without_waiting():
    """With room, acquire does not let the loop turn."""

    async def main() -> None:
        turned = []
        asyncio.get_running_loop().call_soon(turned.append, True)
        pace = Pace(3)
        assert pace.highest_reached == 0
        tickets = [await pace.acquire() for _ in range(3)]
        assert (turned, pace.in_flight, len(set(tickets))) == ([], 3, 3)

    run(main)


def test_a_ticket_given_back_twice_counts_once():
    """An engine that is careful twice does not raise the limit."""
    pace = Pace(2)
    first, _ = take_all(pace)
    pace.release(first)
    pace.release(first)
    assert (pace.in_flight, len(take_all(pace))) == (1, 1)


def test_a_rise_wakes_those_who_wait():
    """New room is taken at once, not when the next ticket comes back."""

    async def main() -> None:
        pace, changes = auto()
        tickets = take_all(pace)
        waiting = [asyncio.create_task(pace.acquire()) for _ in range(15)]
        await asyncio.sleep(0)
        for ticket in tickets:
            pace.succeeded(ticket)
        await asyncio.sleep(0)
        assert (changes, [task.done() for task in waiting]) == ([(10, 20)], [True] * 10 + [False] * 5)
        for task in waiting:
            task.cancel()

    run(main)


@pytest.mark.parametrize("granted_first", [False, True])
def test_a_cancelled_waiter_takes_nothing(granted_first):
    """Cancelled before its ticket came or in the same moment, it leaves it to the next one."""

    async def main() -> None:
        pace = Pace(1)
        held = await pace.acquire()
        first, second = asyncio.create_task(pace.acquire()), asyncio.create_task(pace.acquire())
        await asyncio.sleep(0)
        steps = [lambda: pace.release(held), first.cancel]
        for step in steps if granted_first else reversed(steps):
            step()
        await asyncio.sleep(1)
        assert (first.cancelled(), second.done(), pace.in_flight) == (True, True, 1)
        pace.release(second.result())
        assert pace.in_flight == 0

    run(main)


def test_cancelled_waiters_leave_nothing_behind():
    """An engine may ask with a time limit, again and again, while nothing is free."""

    async def main() -> None:
        pace = Pace(1)
        held = await pace.acquire()
        for _ in range(50):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pace.acquire(), 0.1)
        assert not pace._waiters
        pace.release(held)
        assert pace.try_acquire() is not None

    run(main)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("limit", [1, 3, "auto"])
def test_no_ticket_is_lost_or_made_under_stress(limit, seed):
    """Whatever is cancelled, refused and paused, and when: the limit holds and everybody is served."""

    async def main() -> None:
        chance = random.Random(seed)
        pace = Pace(limit, highest=30, clock=asyncio.get_running_loop().time)

        async def example() -> None:
            ticket = await pace.acquire()
            try:
                await asyncio.sleep(chance.choice([0, 0, 0.5, 1, 1.5]))
                if chance.random() < 0.15:
                    pace.rate_limited(ticket, chance.choice([None, None, 0, 0.5, 3]))
                else:
                    pace.succeeded(ticket)
                assert limit == "auto" or pace.in_flight <= limit
            finally:
                pace.release(ticket)

        tasks = []
        for _ in range(300):
            tasks.append(asyncio.create_task(example()))
            if chance.random() < 0.3:
                await asyncio.sleep(chance.choice([0, 0.5]))
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}
        assert (pace.in_flight, len(pace._waiters)) == (0, 0)
        await asyncio.sleep(60)
        assert len(take_all(pace)) == pace.limit

    run(main)


# --- pauses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [20, "auto"])
@pytest.mark.parametrize(("asked", "paused"), [(0.5, 0.5), (5.0, 5.0), (3600.0, 60.0), (float("inf"), 60.0)])
def test_a_wait_that_was_asked_holds_back_new_tickets(limit, asked, paused):
    """Until it is over nobody gets a ticket, free ones or returned ones; then those who wait are woken."""

    async def main() -> None:
        pace = Pace(limit, clock=asyncio.get_running_loop().time)
        ticket, other = await pace.acquire(), await pace.acquire()
        pace.rate_limited(ticket, asked)
        assert pace.try_acquire() is None
        waiting = [asyncio.create_task(pace.acquire()) for _ in range(3)]
        await asyncio.sleep(paused / 2)
        pace.release(other)
        await asyncio.sleep(0)
        assert [task.done() for task in waiting] == [False] * 3
        await asyncio.gather(*waiting)
        assert now() == pytest.approx(paused)
        assert pace.try_acquire() is not None

    run(main)


def test_later_waits_prolong_a_pause_and_never_shorten_it():
    """Also those of a burst that cut once."""

    async def main() -> None:
        pace = Pace("auto", clock=asyncio.get_running_loop().time)
        tickets = take_all(pace)[:3]
        for ticket, seconds in zip(tickets, (4.0, 10.0, 2.0), strict=True):
            pace.rate_limited(ticket, seconds)
        for ticket in list(pace._out):
            pace.release(ticket)
        await pace.acquire()
        assert (now(), pace.limit) == (pytest.approx(10.0), 7)

    run(main)


def test_one_who_asks_during_a_pause_without_others_is_woken():
    """The pause ends for those who came after the error, too, and after it was prolonged."""

    async def main() -> None:
        pace = Pace(1, clock=asyncio.get_running_loop().time)
        ticket = await pace.acquire()
        pace.rate_limited(ticket, 2.0)
        pace.release(ticket)
        await asyncio.sleep(1)
        pace.rate_limited(ticket, 5.0)
        await asyncio.sleep(2)
        await pace.acquire()
        assert now() == pytest.approx(6.0)

    run(main)


@pytest.mark.parametrize("asked", [None, 0.0, -1.0, float("nan")])
def test_without_a_wait_there_is_no_pause(asked):
    """How long the example itself waits before its next try is its own affair."""
    pace = Pace(2)
    pace.rate_limited(pace.try_acquire(), asked)
    assert pace.try_acquire() is not None


# --- keeping a place -----------------------------------------------------------------------------------


def test_a_renewed_ticket_passes_the_only_one_who_waits():
    """It is the feed of the same experiment, which would begin the same example a moment later."""

    async def main() -> None:
        pace = Pace(1)
        ticket = pace.try_acquire()
        waiting = asyncio.create_task(pace.acquire())
        await asyncio.sleep(0)
        renewed = pace.renew(ticket)
        assert renewed is not None
        assert renewed is not ticket
        assert pace.in_flight == 1
        assert not waiting.done()
        pace.release(renewed)
        assert await waiting

    run(main)


def test_a_ticket_is_not_renewed_when_others_wait_or_nothing_may_begin():
    """With two experiments at once each gets its share, in the order of asking."""

    async def main() -> None:
        pace = Pace(1, clock=now)
        ticket = pace.try_acquire()
        first, second = (asyncio.create_task(pace.acquire()) for _ in range(2))
        await asyncio.sleep(0)
        assert pace.renew(ticket) is None
        ticket = await first
        pace.rate_limited(ticket, 30.0)
        assert pace.renew(ticket) is None
        assert pace.in_flight == 0
        assert await second
        assert now() >= 30.0

    run(main)
