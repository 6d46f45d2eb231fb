"""User code that sets Python's clocks changes nothing of evalwire's."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import freezegun
import pytest
import time_machine

from evalwire import clocks
from evalwire.usercode.loops import new_event_loop

LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize("set_clock", [freezegun.freeze_time, time_machine.travel])
def test_a_clock_that_user_code_sets_is_not_asked(set_clock):
    before, began = datetime.now(UTC), time.monotonic()
    with set_clock(LONG_AGO):
        assert abs(time.time() - LONG_AGO.timestamp()) < 60
        first = clocks.monotonic()
        time.sleep(0.01)
        assert clocks.monotonic() - first >= 0.01
        assert abs(clocks.now() - before) < timedelta(seconds=5)
        assert abs(clocks.timestamp() - before.timestamp()) < 5
    assert clocks.monotonic() - began < 5


@pytest.mark.parametrize("set_clock", [freezegun.freeze_time, time_machine.travel])
def test_the_timers_of_our_event_loops_go_on(set_clock):
    loop = new_event_loop()
    try:
        with set_clock(LONG_AGO):
            loop.run_until_complete(asyncio.wait_for(asyncio.sleep(0.01), 5))
    finally:
        loop.close()
