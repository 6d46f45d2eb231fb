"""What one command is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from evalwire.jobs import Connect, Console
    from evalwire.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What one command is given; a command passes on the parts that a stage needs.

    Attributes:
        settings: found by the precedence of `evalwire.settings`.
        environ: the environment when the command began, the `.env` file merged into it.
        from_env_file: the names that came from that file.
        console: the streams.
        connect: connects to a Phoenix server.
        announce: receives where the job's journal and report are, for whoever outlives this process.
    """

    settings: Settings
    environ: Mapping[str, str]
    console: Console
    connect: Connect
    from_env_file: Collection[str] = ()
    announce: Callable[[str], object] = lambda _: None
