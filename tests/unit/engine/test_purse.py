"""The purse alone: what it admits, over random schedules of costs and durations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks import early_budgets

from evalwire.engine.purse import Purse
from evalwire.model import Amount, Budget, ModelUsage, Price

NEW_MODEL = (
    'the price of new is not known. Add "new" = { input = N, output = N } below [prices], in USD per million tokens'
)

PRICES = {"m": Price(input=1.0, output=1.0)}


def used(usd: float, *, tokens: int = 0) -> tuple[ModelUsage, ...]:
    return (ModelUsage(model="m", calls=1, total_tokens=tokens, cost_usd=usd),)


def spend(purse: Purse, usd: float) -> None:
    """Admit a run, and end it with this cost."""
    reservation = purse.admit()
    assert reservation is not None
    purse.pay(reservation, used(usd))
    purse.settle(reservation)


@pytest.mark.parametrize("knows_past", [False, True])
def test_usage_exceeds_the_budget_by_what_runs_exceed_the_largest_known(knows_past):
    """Spent <= budget + runs in flight x (largest run - largest seen), over 1,000 random schedules."""
    schedules = [early_budgets.schedule(seed, knows_past=knows_past) for seed in range(early_budgets.SCHEDULES)]
    assert not [seed for seed, each in enumerate(schedules) if each.spent > each.most + 1e-9]
    assert [each.spent for each in schedules] == pytest.approx([each.expected for each in schedules])
    assert all(each.is_closed != each.is_whole for each in schedules)
    assert any(each.spent > each.budget for each in schedules), "the schedules include budgets that are exceeded"


def test_a_closed_purse_never_opens_again():
    purse = Purse(Budget(max_cost_usd=2.5))
    spend(purse, 1.0)
    spend(purse, 1.0)
    assert purse.admit() is None
    assert purse.closed
    assert purse.admit() is None


def test_first_run_is_alone_in_flight():
    """No usage is known, so more runs could exceed the budget together."""
    purse = Purse(Budget(max_cost_usd=5.0))
    first = purse.admit()
    assert first is not None
    assert purse.admit() is None
    assert not purse.closed, "it only waits"
    purse.pay(first, used(1.0))
    purse.settle(first)
    assert [purse.admit() is not None for _ in range(5)] == [True] * 4 + [False]


def test_as_long_as_no_run_used_anything_as_many_are_in_flight_as_have_ended():
    """The first runs may have failed before their first call: a run without usage says nothing of the next."""
    purse = Purse(Budget(max_cost_usd=10.0, prices=PRICES))
    for number in (1, 1, 2):  # in flight after 0, 1 and 2 free runs
        admitted = [reservation for _ in range(5) if (reservation := purse.admit()) is not None]
        assert len(admitted) == number
        purse.settle(admitted[0])
        for reservation in admitted[1:]:
            purse.settle(reservation)
    spend(purse, 1.0)
    assert [purse.admit() is not None for _ in range(12)] == [True] * 9 + [False] * 3


def test_past_usage_lets_runs_start_together():
    purse = Purse(Budget(max_cost_usd=5.0, largest=Amount(usd=1.0)))
    assert [purse.admit() is not None for _ in range(6)] == [True] * 5 + [False]
    assert purse.closed == ""


def test_waiting_run_starts_when_a_run_used_less_than_expected():
    purse = Purse(Budget(max_cost_usd=2.0, largest=Amount(usd=1.0)))
    first, second = purse.admit(), purse.admit()
    assert first is not None
    assert second is not None
    assert purse.admit() is None
    purse.pay(first, used(0.1))
    purse.settle(first)
    assert purse.admit() is None, "0.1 and two reservations are more than 2.0"
    purse.pay(second, used(0.1))
    purse.settle(second)
    assert purse.admit() is not None


def test_run_in_flight_that_used_more_than_expected_counts_in_full():
    purse = Purse(Budget(max_cost_usd=3.0, largest=Amount(usd=1.0)))
    first = purse.admit()
    assert first is not None
    purse.pay(first, used(2.5))
    assert purse.admit() is None


def test_purse_closes_when_no_run_in_flight_could_leave_more():
    purse = Purse(Budget(max_cost_usd=1.0))
    spend(purse, 0.6)
    assert purse.admit() is None
    assert purse.closed == "0.60 USD of the budget of 1.00 USD are used, and the next run may use 0.60 USD"


def test_tokens_close_the_purse():
    purse = Purse(Budget(max_tokens=1_000))
    reservation = purse.admit()
    assert reservation is not None
    purse.pay(reservation, used(0.0, tokens=700))
    purse.settle(reservation)
    assert purse.admit() is None
    assert purse.closed == "700 tokens of the budget of 1,000 tokens are used, and the next run may use 700"


def test_free_runs_are_admitted_within_a_used_up_budget():
    purse = Purse(Budget(max_cost_usd=1.0, spent=Amount(usd=1.0), largest=Amount()))
    assert purse.admit() is not None


def test_used_up_budget_of_an_earlier_attempt_admits_nothing():
    purse = Purse(Budget(max_cost_usd=1.0, spent=Amount(usd=1.2)))
    assert purse.admit() is None
    assert purse.closed


def test_no_run_starts_that_may_end_after_the_deadline():
    now = 0.0
    purse = Purse(Budget(max_seconds=10.0).started_at(0.0), clock=lambda: now)
    first = purse.admit()
    assert first is not None
    now = 4.0
    purse.settle(first)
    now = 5.9
    assert purse.admit() is not None
    now = 6.0
    assert purse.admit() is None
    assert purse.closed == "the next run may exceed the budget of 10 s"


def test_earlier_attempts_use_up_the_time():
    budget = Budget(max_seconds=10.0, spent_seconds=8.0).started_at(100.0)
    assert budget.deadline == 102.0


@pytest.mark.parametrize(
    ("budget", "usage", "named"),
    [
        (
            Budget(max_cost_usd=1.0),
            ModelUsage(model="new", calls=1, total_tokens=5, unpriced=1, unpriced_prompt_tokens=5),
            NEW_MODEL,
        ),
        (
            Budget(max_cost_usd=1.0, prices=PRICES),
            ModelUsage(model="m", calls=1, unpriced=1, uncounted=1),
            "an LLM span of m has no token counts, so the budget cannot count it",
        ),
        (
            Budget(max_tokens=100),
            ModelUsage(model="m", calls=1, cost_usd=0.1, uncounted=1),
            "an LLM span of m has no token counts, so the budget cannot count it",
        ),
        (Budget(max_cost_usd=1.0), None, "the usage of a call was not recorded, so the budget cannot count it"),
    ],
)
def test_unknown_usage_closes_the_purse(budget, usage, named):
    purse = Purse(budget)
    reservation = purse.admit()
    assert reservation is not None
    purse.pay(reservation, None if usage is None else (usage,))
    assert (purse.closed, purse.is_unknown, reservation.is_unknown) == (named, True, True)
    purse.settle(reservation)
    assert purse.admit() is None
    recorded = Purse(budget)
    recorded.add(None if usage is None else (usage,))
    assert (recorded.closed, recorded.is_unknown) == ((named, True) if usage else ("", False))


@pytest.mark.parametrize(
    ("budget", "usage"),
    [
        (Budget(max_tokens=100), ModelUsage(model="new", calls=1, total_tokens=5, unpriced=1)),
        (Budget(max_seconds=100.0), ModelUsage(model="new", calls=1, uncounted=1, unpriced=1)),
        (Budget(max_cost_usd=1.0), ModelUsage(model="m", calls=1, cost_usd=0.1, uncounted=1)),
    ],
)
def test_unknown_usage_that_no_limit_needs_is_ignored(budget, usage):
    purse = Purse(budget)
    reservation = purse.admit()
    assert reservation is not None
    purse.pay(reservation, (usage,))
    assert not purse.closed


def test_retry_needs_as_much_as_a_run():
    purse = Purse(Budget(max_cost_usd=2.5, largest=Amount(usd=1.0)))
    reservation = purse.admit()
    assert reservation is not None
    purse.pay(reservation, used(1.0))
    assert purse.allows_retry(reservation)
    assert purse.committed.usd == 2.0
    purse.pay(reservation, used(1.0))
    assert not purse.allows_retry(reservation), "2.0 are used, and an attempt may use 1.0"


def test_shards_divide_cost_and_tokens_but_not_time():
    part = Budget(max_cost_usd=4.0, max_tokens=1_001, max_seconds=60.0).of_shard(4)
    assert (part.max_cost_usd, part.max_tokens, part.max_seconds) == (1.0, 250, 60.0)


def test_a_run_is_settled_once_and_counts_its_time_and_usage():
    now = 10.0
    purse = Purse(Budget(max_cost_usd=9.0, max_tokens=99), clock=lambda: now)
    first = purse.admit()
    assert first is not None
    assert first.started_at == 10.0
    purse.pay(first, used(1.0, tokens=5))
    now = 13.0
    assert purse.settle(first)
    assert not purse.settle(first)
    assert (purse.spent, purse.largest, purse.longest) == (Amount(usd=1.0, tokens=5), Amount(usd=1.0, tokens=5), 3.0)
    second = purse.admit()
    assert second is not None
    purse.pay(second, used(0.5, tokens=7))
    now = 14.0
    purse.settle(second)
    assert (purse.spent, purse.largest, purse.longest) == (Amount(usd=1.5, tokens=12), Amount(usd=1.0, tokens=7), 3.0)


def test_a_closed_purse_keeps_its_first_reason():
    now = 0.0
    purse = Purse(Budget(max_cost_usd=1.0, max_seconds=8.0).started_at(0.0), clock=lambda: now)
    assert purse.seconds_left == 8.0
    spend(purse, 1.0)
    assert purse.admit() is None
    reason = purse.closed
    assert reason == "1.00 USD of the budget of 1.00 USD are used, and the next run may use 1.00 USD"
    now = 9.0
    purse.close_late()
    assert purse.admit() is None
    assert (purse.closed, purse.seconds_left) == (reason, -1.0)
    assert Purse(Budget(max_cost_usd=1.0)).seconds_left is None


def test_unknown_usage_after_the_end_is_not_its_reason():
    """The advice would be to add a price, which is not what ended the job."""
    purse = Purse(Budget(max_cost_usd=2.5, largest=Amount(usd=1.0)))
    first, second = purse.admit(), purse.admit()
    assert first is not None
    assert second is not None
    purse.pay(first, used(2.5))
    purse.settle(first)
    purse.pay(second, used(0.0))
    purse.settle(second)
    assert purse.admit() is None
    assert purse.closed
    purse.pay(second, None)
    assert (second.is_unknown, purse.is_unknown) == (True, False)


def test_the_purse_is_late_by_its_longest_run():
    purse = Purse(Budget(max_seconds=8.0).started_at(0.0), clock=lambda: 1.0)
    purse.close_late()
    assert purse.closed == "the budget of 8 s is used up"
    assert purse.admit() is None


def test_usage_of_an_earlier_attempt_is_spent_and_expected():
    purse = Purse(Budget(max_cost_usd=10.0, spent=Amount(usd=1.0), largest=Amount(usd=0.5)))
    purse.add(used(2.0, tokens=9))
    purse.add(None)
    assert (purse.spent, purse.largest) == (Amount(usd=3.0, tokens=9), Amount(usd=2.0, tokens=9))
    fresh = Purse(Budget(max_cost_usd=10.0))
    fresh.add(used(2.0))
    assert fresh.largest == Amount(usd=2.0)
    assert [fresh.admit() is not None for _ in range(5)] == [True] * 4 + [False], "8 USD are left"


def test_only_the_first_run_can_be_the_first_that_is_free():
    limited = Budget(max_cost_usd=10.0)
    for costs, budget, is_free in (
        ([], limited, False),
        ([0.0], limited, True),
        ([0.0, 0.0], limited, False),
        ([0.5], limited, False),
        ([0.0], Budget(max_seconds=10.0), False),
    ):
        purse = Purse(budget)
        for cost in costs:
            spend(purse, cost)
        assert purse.is_first_free is is_free
    unknown = Purse(limited)
    reservation = unknown.admit()
    assert reservation is not None
    unknown.pay(reservation, None)
    unknown.settle(reservation)
    assert not unknown.is_first_free, "its usage is not known"


def test_a_retry_reserves_the_largest_run_or_the_largest_call_of_its_own():
    """In cost and in tokens: what it already paid, and as much as a whole run again."""
    for budget, allowed in (
        (Budget(max_cost_usd=7.0), True),
        (Budget(max_cost_usd=6.9), False),
        (Budget(max_tokens=70), True),
        (Budget(max_tokens=69), False),
    ):
        purse = Purse(replace(budget, largest=Amount(usd=1.0, tokens=10)))
        reservation = purse.admit()
        assert reservation is not None
        purse.pay(reservation, used(3.0, tokens=30))
        purse.pay(reservation, used(1.0, tokens=10))
        assert purse.allows_retry(reservation) is allowed, "4 are paid, and a call may use 3 again"
        assert reservation.before_retry == (Amount(usd=4.0, tokens=40) if allowed else Amount())
    closed = Purse(Budget(max_seconds=9.0).started_at(0.0), clock=lambda: 0.0)
    reservation = closed.admit()
    assert reservation is not None
    assert closed.allows_retry(reservation)
    closed.close_late()
    assert not closed.allows_retry(reservation)
