"""The errors that evalwire raises, with their exit codes.

    EvalwireError                 1   an expected error, shown as a message without a traceback
    ├── UsageError                2   invalid usage, found before any experiment runs
    ├── NothingToRunError         1   no experiment was found or selected
    ├── PhoenixError              1   a request to Phoenix failed
    │   ├── PhoenixUnreachable    1   no valid response within the retry policy
    │   ├── PhoenixMisconfigured  2   the address or another connection setting is invalid
    │   ├── PhoenixRefused        1   401 or 403: the credentials are missing or invalid
    │   ├── DatasetNotFound       1   no dataset has this name
    │   ├── DatasetUnfinished     1   an upload to the dataset was interrupted, or is running
    │   ├── DatasetChanged        1   another upload changed the dataset at the same time
    │   ├── RunTaken              1   another job recorded this run with a different output
    │   └── ExperimentNotFound    1   no experiment has this ID
    ├── LocalServerError          1   the Phoenix of `--local` did not start
    ├── CommentError              1   the comment with the summary could not be written
    │   └── CommentRefused        1   401, 403 or 404: the token is invalid or has no permission
    └── TestsetError              2   the testset file cannot be uploaded
        └── TestsetNotFound       2   the testset file does not exist

    Interrupted (BaseException)   128 + the signal's number
    ExperimentsFailed (SystemExit) 1  raised by the Python API, with every result

Failures of user code are values rather than errors: `evalwire.model.Failure`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from evalwire.model import ExperimentResults, FailureKind


class EvalwireError(Exception):
    """An expected error, with a message that explains the failure, the place, and the next step.

    Attributes:
        exit_code: the exit code of a command that ends with this error.
        failure_kind: the kind of the failure if the error becomes the failure of an experiment or run.
    """

    exit_code: ClassVar[int] = 1
    failure_kind: ClassVar[FailureKind] = "evalwire"


class UsageError(EvalwireError, ValueError):
    """An invalid flag, key, path or value."""

    exit_code: ClassVar[int] = 2
    failure_kind: ClassVar[FailureKind] = "user"


class NothingToRunError(EvalwireError, LookupError):
    """The selection is empty, or includes an experiment that does not exist."""


class PhoenixError(EvalwireError):
    """A request to Phoenix failed."""

    failure_kind: ClassVar[FailureKind] = "phoenix"


class PhoenixUnreachable(PhoenixError):
    """Phoenix did not send a valid response within the retry policy."""


class PhoenixMisconfigured(UsageError, PhoenixError):
    """A variable or setting for the connection to Phoenix is invalid."""

    failure_kind: ClassVar[FailureKind] = "phoenix"


class PhoenixRefused(PhoenixError):
    """Phoenix responded with 401 or 403."""


class DatasetNotFound(PhoenixError):
    """Phoenix has no dataset with this name."""

    failure_kind: ClassVar[FailureKind] = "user"


class DatasetUnfinished(PhoenixError):
    """A dataset contains a partial first upload, and has no earlier version."""

    failure_kind: ClassVar[FailureKind] = "user"


class DatasetChanged(PhoenixError):
    """Another upload changed a dataset at the same time."""


class RunTaken(PhoenixError):
    """Phoenix already has this run from another job, with a different output."""


class ExperimentNotFound(PhoenixError, ValueError):
    """Phoenix has no experiment with this ID."""

    failure_kind: ClassVar[FailureKind] = "user"


class CommentError(EvalwireError):
    """GitHub or GitLab did not accept the comment with the summary."""


class CommentRefused(CommentError):
    """GitHub or GitLab responded with 401, 403 or 404."""


class LocalServerError(EvalwireError):
    """The local Phoenix could not be started."""


class TestsetError(EvalwireError):
    """A testset file cannot be uploaded."""

    __test__ = False  # pytest would collect the class because of its name
    exit_code: ClassVar[int] = 2


class TestsetNotFound(TestsetError, FileNotFoundError):
    """The testset file does not exist."""


class Interrupted(BaseException):
    """A signal arrived while nothing was in flight."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


class ExperimentsFailed(SystemExit):
    """An experiment or a gate failed in `ExperimentRunner.run`.

    Attributes:
        code: the exit code of a script that does not catch the exception, always 1.
        results: the results of all experiments, including passed experiments, in discovery order.
        gates: the results of the gates; empty without gates.
    """

    def __init__(self, message: str, results: ExperimentResults) -> None:
        super().__init__(1)
        self.message = message
        self.results = results
        self.gates = results.gates

    def __str__(self) -> str:
        return self.message
