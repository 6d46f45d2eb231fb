"""Every error evalwire raises on purpose, each with the exit code it ends in.

    EvalwireError                 1   expected: shown as a message, without a traceback
    ├── UsageError                2   wrong use, found before anything runs
    ├── NothingToRunError         1   no experiment was found, or none of that name
    ├── PhoenixError              1   Phoenix did not do what was asked
    │   ├── PhoenixUnreachable    1   no answer, or only errors, within the retry budget
    │   ├── PhoenixMisconfigured  2   its address, or what else leads to it, cannot be used: wrong use
    │   ├── PhoenixRefused        1   401 or 403: the credentials are missing or wrong
    │   ├── DatasetNotFound       1   no dataset of that name
    │   ├── DatasetUnfinished     1   an upload to it was interrupted, or is under way
    │   ├── RunTaken              1   another job has recorded this run, with another output
    │   └── ExperimentNotFound    1   no experiment of that id
    ├── LocalServerError          1   the Phoenix of `--local` did not start
    └── TestsetError              2   the testset file cannot be uploaded as it is
        └── TestsetNotFound       2   there is no such file

    Interrupted (BaseException)   128 + the signal's number
    ExperimentsFailed (SystemExit) 1  raised by the Python API; carries every result

A failure of the user's code is not here: it is a value, `evalwire.model.Failure`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.model import ExperimentResult, FailureKind


class EvalwireError(Exception):
    """An expected error: its message says what failed, where, and what to do next.

    Attributes:
        failure_kind: whose failure it is, where it becomes the failure of an experiment or of a run.
    """

    exit_code: ClassVar[int] = 1
    failure_kind: ClassVar[FailureKind] = "evalwire"


class UsageError(EvalwireError, ValueError):
    """Wrong use: a flag, a key, a path or a value that cannot be right."""

    exit_code: ClassVar[int] = 2
    failure_kind: ClassVar[FailureKind] = "user"


class NothingToRunError(EvalwireError, LookupError):
    """The selection is empty, or names an experiment that does not exist."""


class PhoenixError(EvalwireError):
    """Phoenix did not do what was asked."""

    failure_kind: ClassVar[FailureKind] = "phoenix"


class PhoenixUnreachable(PhoenixError):
    """Phoenix gave no usable answer within the retry budget."""


class PhoenixMisconfigured(UsageError, PhoenixError):
    """A variable or a setting on the way to Phoenix has a value that cannot be used."""

    failure_kind: ClassVar[FailureKind] = "phoenix"


class PhoenixRefused(PhoenixError):
    """Phoenix answered 401 or 403."""


class DatasetNotFound(PhoenixError):
    """Phoenix has no dataset of that name."""

    failure_kind: ClassVar[FailureKind] = "user"


class DatasetUnfinished(PhoenixError):
    """A dataset holds a part of an upload, and nothing from before it."""

    failure_kind: ClassVar[FailureKind] = "user"


class RunTaken(PhoenixError):
    """Phoenix has the run of another job in the place of this one."""


class ExperimentNotFound(PhoenixError, ValueError):
    """Phoenix has no experiment of that id."""

    failure_kind: ClassVar[FailureKind] = "user"


class LocalServerError(EvalwireError):
    """The embedded Phoenix could not be started."""


class TestsetError(EvalwireError):
    """A testset file that cannot be uploaded as it is."""

    __test__ = False  # pytest would collect it by its name
    exit_code: ClassVar[int] = 2


class TestsetNotFound(TestsetError, FileNotFoundError):
    """There is no such testset."""


class Interrupted(BaseException):
    """A signal arrived while nothing was in flight."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


class ExperimentsFailed(SystemExit):
    """Raised by `ExperimentRunner.run` when anything failed.

    Attributes:
        code: always 1, so that an uncaught one ends a script as CI expects.
        results: every result, in discovery order, the successful ones included.
    """

    def __init__(self, message: str, results: Sequence[ExperimentResult]) -> None:
        super().__init__(1)
        self.message = message
        self.results = list(results)

    def __str__(self) -> str:
        return self.message
