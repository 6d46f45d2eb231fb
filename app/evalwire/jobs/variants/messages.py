"""The messages between a job and the processes of its variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evalwire.engine import EarlierRuns
    from evalwire.jobs.connect import Connect
    from evalwire.jobs.console import Console
    from evalwire.jobs.gating import Gating
    from evalwire.jobs.parts import PartResult
    from evalwire.model import Experiment
    from evalwire.recording import PastExperiment
    from evalwire.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """The objects that a process of a variant shares with the job from before the start of the process.

    Attributes:
        settings: the settings of the job.
        environ: the environment at the start of the command.
        console: the standard streams.
        connect: connects to Phoenix; None if the process only loads the experiment.
        is_local: whether the job uses the local Phoenix, whose address is known only later.
    """

    settings: Settings
    environ: Mapping[str, str]
    console: Console
    connect: Connect | None = None
    is_local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRequest:
    """The request to a process to run its experiment.

    Attributes:
        experiment: the experiment as the job describes it.
        job: the values of the fields of `Job` that do not belong to the process of the job, by name.
        past: the earlier state of the experiment, as in `Job`.
        gating: the gates and the baseline of the experiment.
        address: the address of the local Phoenix; None for the configured server.
        journal: the path of the journal; None for no journal.
        earlier: the runs of the job in other processes.
        is_stopped: whether the job is stopped already, so that only results for the report are needed.
    """

    experiment: Experiment
    job: Mapping[str, Any]
    past: Mapping[str, PastExperiment]
    gating: Gating
    address: str | None
    journal: Path | None
    earlier: EarlierRuns
    is_stopped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReply:
    """The answer of a process to a request.

    Attributes:
        result: the result.
        is_journal_whole: whether every line could be written to the journal.
        environ: the environment variables that user code changed, which may have secrets.
    """

    result: PartResult
    is_journal_whole: bool
    environ: Mapping[str, str]
