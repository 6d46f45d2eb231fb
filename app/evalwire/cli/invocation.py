"""The input of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.jobs import Inherited

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from evalwire.jobs import Connect, Console
    from evalwire.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """The input of a command, which passes each stage the parts that it needs.

    Attributes:
        settings: resolved by the precedence of `evalwire.settings`.
        environ: the environment at the start of the command, with the `.env` file merged in.
        from_env_file: names of the variables from the `.env` file.
        console: the standard streams.
        connect: connects to a Phoenix server.
        announce: reports the paths of the job's journal and report to the parent process.
    """

    settings: Settings
    environ: Mapping[str, str]
    console: Console
    connect: Connect
    from_env_file: Collection[str] = ()
    announce: Callable[[str], object] = lambda _: None

    def inherited(self, *, is_local: bool = False) -> Inherited:
        """Return what the processes of variants share with the job; `is_local` for the local Phoenix."""
        return Inherited(
            settings=self.settings,
            environ=self.environ,
            console=self.console,
            connect=self.connect,
            is_local=is_local,
        )
