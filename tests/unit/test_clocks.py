"""User code that sets Python's clocks changes nothing of evalwire's."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import freezegun
import pytest
import time_machine

from evalwire import clocks
from evalwire.usercode.loops import new_event_loop

LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize("set_clock", [freezegun.freeze_time, time_machine.travel])
def test_a_clock_that_user_code_sets_is_not_asked(set_clock, tmp_path):
    """A new file's time is the kernel's, and a library may need long to set the clock of many modules."""
    before = time.monotonic()
    with set_clock(LONG_AGO):
        assert abs(time.time() - LONG_AGO.timestamp()) < 60
        first = clocks.monotonic()
        time.sleep(0.01)
        assert clocks.monotonic() - first >= 0.01
        (tmp_path / "written").touch()
        written = (tmp_path / "written").stat().st_mtime
        assert abs(clocks.timestamp() - written) < 5
        assert abs(clocks.now().timestamp() - written) < 5
        during = clocks.monotonic()
    assert before < during < time.monotonic()


@pytest.mark.parametrize("set_clock", [freezegun.freeze_time, time_machine.travel])
def test_the_timers_of_our_event_loops_go_on(set_clock):
    loop = new_event_loop()
    try:
        with set_clock(LONG_AGO):
            loop.run_until_complete(asyncio.wait_for(asyncio.sleep(0.01), 5))
    finally:
        loop.close()
