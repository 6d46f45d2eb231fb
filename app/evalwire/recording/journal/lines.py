"""The lines of a journal, and their conversion to text and back.

Each line of a journal is a JSON object with a `type`. A later line about the same run, or about the same evaluator of a
run, replaces the earlier line. The journal does not have the IDs of records; only Phoenix knows its records.
"""

# NOTE: no `from __future__ import annotations` here: msgspec reads the annotations
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, get_args

import msgspec

from evalwire.model import Evaluation, Failure, OutputSource, RunKey, StoppingRules, TaskRun, UploadedVersion, Usage
from evalwire.recording.journal.past import PastDataset

FORMAT: Final = 2


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class JobLine(_Line, frozen=True, tag="job"):
    """The start of the job, as the first line."""

    format: int
    started_at: datetime
    endpoint: str
    experiments: list[str]
    prefix: str
    metadata: Mapping[str, Any]
    repetitions: int
    split: str | None
    dataset_version: str | None
    gates: tuple[str, ...]
    baseline: str
    shard: str | None
    run_key: str | None
    selection: Mapping[str, Any] | None = None
    uploaded: Mapping[str, UploadedVersion] = msgspec.field(default_factory=dict)
    sources: Mapping[str, OutputSource] = msgspec.field(default_factory=dict)
    stopping: StoppingRules | None = None
    is_noise: bool = False


class CreateLine(_Line, frozen=True, tag="create"):
    """The coming creation of an experiment in Phoenix, with a key in its metadata."""

    experiment: str
    dataset: PastDataset
    recorded_name: str
    metadata: Mapping[str, Any]
    repetitions: int


class OpenLine(_Line, frozen=True, tag="open"):
    """The creation of an experiment in Phoenix, with its ID."""

    experiment: str
    id: str | None
    url: str | None
    project_name: str | None


class InputsLine(_Line, frozen=True, tag="inputs"):
    """The project files that user code has read so far, in the form of `Inputs.to_json`."""

    experiment: str
    inputs: Mapping[str, Any]


class _LineOfRun(_Line, frozen=True):
    experiment: str
    example: str
    repetition: int

    @property
    def key(self) -> RunKey:
        """The key of the run within its experiment."""
        return self.example, self.repetition


class RunLine(_LineOfRun, frozen=True, tag="run"):
    """The output of a task for an example, or its failure.

    `lossy_output` is the value that a failed run returned, as closely as JSON allows. evalwire does not read it.
    """

    output: Any
    failure: Failure | None
    start_time: datetime
    end_time: datetime
    trace_id: str | None
    attempts: int
    usage: Usage | None
    lossy_output: Any = None

    @classmethod
    def of(cls, run: TaskRun, *, experiment: str) -> "RunLine":
        """Return the line of a run, without its evaluations."""
        return cls(
            experiment=experiment,
            example=run.example.node_id,
            repetition=run.repetition,
            output=run.output,
            failure=run.failure,
            start_time=run.start_time,
            end_time=run.end_time,
            trace_id=run.trace_id,
            attempts=run.attempts,
            usage=run.usage,
            lossy_output=run.lossy_output,
        )


class EvaluationsLine(_LineOfRun, frozen=True, tag="evaluations"):
    """An evaluator's evaluations of a run, or its failure."""

    evaluator: str
    evaluations: tuple[Evaluation, ...]


class BudgetLine(_Line, frozen=True, tag="budget"):
    """The budget of the job; a later line, of a resumed job, replaces it."""

    max_cost_usd: float | None
    max_tokens: int | None
    max_seconds: float | None


class PaidLine(_Line, frozen=True, tag="paid"):
    """The usage of a call whose result the journal does not have: of an evaluator on an output of the baseline."""

    experiment: str
    usage: Usage | None


class EndLine(_Line, frozen=True, tag="end"):
    """The end of the job."""

    outcome: str
    exit_code: int


Line = JobLine | CreateLine | OpenLine | InputsLine | RunLine | EvaluationsLine | BudgetLine | PaidLine | EndLine
_TYPES = {kind.__struct_config__.tag for kind in get_args(Line)}


def encode(line: Line) -> bytes:
    """Encode a line as JSON with a newline; halves of surrogate pairs, in a failure's text, are escaped."""
    plain = msgspec.to_builtins(line, str_keys=True, enc_hook=str)  # other types come from a user's metadata
    return json.dumps(plain, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def decode(text: str) -> Line | None:
    """Decode a line of a journal; None for a type that this version of evalwire does not know.

    Raises:
        msgspec.ValidationError: the text is JSON, but not a line of a journal.
        json.JSONDecodeError: the text is not JSON.
    """
    entry = json.loads(text)
    if isinstance(entry, dict) and isinstance(entry.get("type"), str) and entry["type"] not in _TYPES:
        return None
    line: Line = msgspec.convert(entry, type=Line)
    return line
