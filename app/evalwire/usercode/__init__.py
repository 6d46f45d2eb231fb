"""Functions that bind and call the user's code and parse the results."""

from evalwire.usercode.binding import (
    EVALUATOR_NAMES,
    BindingError,
    bind_evaluator,
    bind_task,
    isolate_experiment,
    misnamed_parameter,
    with_twin,
    with_values,
)
from evalwire.usercode.call import Call, Trace
from evalwire.usercode.failures import failure_of
from evalwire.usercode.forks import leave_fork, single_process
from evalwire.usercode.loops import JobLoop
from evalwire.usercode.rate_limits import is_rate_limit, is_worth_retrying, refusal_of, wait_asked
from evalwire.usercode.scores import NOT_APPLICABLE, EvaluatorScore, NotApplicable, parse_scores
from evalwire.usercode.threads import Threads
from evalwire.usercode.time_limit import Clock
from evalwire.usercode.values import evaluator_values, task_values

__all__ = [
    "EVALUATOR_NAMES",
    "NOT_APPLICABLE",
    "BindingError",
    "Call",
    "Clock",
    "EvaluatorScore",
    "JobLoop",
    "NotApplicable",
    "Threads",
    "Trace",
    "bind_evaluator",
    "bind_task",
    "evaluator_values",
    "failure_of",
    "is_rate_limit",
    "is_worth_retrying",
    "isolate_experiment",
    "leave_fork",
    "misnamed_parameter",
    "parse_scores",
    "refusal_of",
    "single_process",
    "task_values",
    "wait_asked",
    "with_twin",
    "with_values",
]
