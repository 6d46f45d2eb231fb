"""Make event loops whose timers go by the machine's clock."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from evalwire import clocks

if TYPE_CHECKING:
    import selectors


def new_event_loop(selector: selectors.BaseSelector | None = None) -> asyncio.AbstractEventLoop:
    """Return an event loop whose timers go by the machine's clock.

    Args:
        selector: what the loop waits with; None for a loop of the kind that the policy makes.
    """
    loop = asyncio.new_event_loop() if selector is None else asyncio.SelectorEventLoop(selector)
    with contextlib.suppress(AttributeError):  # a loop that is not written in Python has a clock of its own
        loop.time = clocks.monotonic  # type: ignore[method-assign]
    return loop
