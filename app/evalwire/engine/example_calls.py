"""The calls of user code for an example: the task, and then its evaluators."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, Any

from evalwire.engine.evaluations import evaluations_of, with_all
from evalwire.model import TaskRun, to_json, to_lossy_json
from evalwire.usercode import evaluator_values, parse_scores, task_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from evalwire.engine.call_retries import CallResult
    from evalwire.engine.concurrency import Ticket
    from evalwire.engine.job_state import JobState
    from evalwire.engine.pending_runs import PendingRun
    from evalwire.model import Callee, Evaluation, OpenExperiment
    from evalwire.usercode import Call, EvaluatorScore

log = logging.getLogger("evalwire")


class ExampleCalls:
    """Calls the task and the evaluators of an experiment on single examples, and saves what they return.

    Args:
        job: the shared state of the job's experiments.
    """

    def __init__(self, job: JobState) -> None:
        self._job = job
        self._dropped: set[tuple[str, str]] = set()  # (evaluator, key) pairs already reported

    async def run_task(
        self,
        opened: OpenExperiment,
        task: Callee,
        pending: PendingRun,
        ticket: Ticket,
        *,
        skips: Callable[[], bool],
    ) -> TaskRun | None:
        """Run the task on an example and save the result; return None if it is skipped."""
        job = self._job

        def begin(on_end: Callable[[Call], None]) -> Call:
            return job.start_call(
                opened,
                task,
                lambda: task_values(pending.example),
                stage="task",
                convert=to_json,
                on_end=on_end,
                skips=skips,
            )

        def settle(result: CallResult[Any]) -> TaskRun:
            run = TaskRun(
                example=pending.example,
                output=result.value,
                failure=result.failure,
                start_time=result.call.start_time,
                end_time=result.call.end_time,
                repetition=pending.repetition,
                trace_id=result.call.trace_id,
                attempts=result.attempts,
                usage=result.usage,
                lossy_output=to_lossy_json(result.call.unusable[0]) if result.call.unusable else None,
            )
            job.recorder.returned(opened, run)
            return run

        return await job.retries.outcome(begin, settle, ticket=ticket, reservation=pending.reservation)

    async def evaluate(self, opened: OpenExperiment, run: TaskRun, pending: PendingRun, ticket: Ticket) -> TaskRun:
        """Call all evaluators without a result concurrently."""
        done = {evaluation.evaluator for evaluation in run.evaluations}
        left = [evaluator for evaluator in opened.experiment.evaluators if evaluator.name not in done]
        calls = [self._call_evaluator(opened, run, evaluator, pending, ticket) for evaluator in left]
        found = [await call for call in calls] if len(calls) == 1 else await asyncio.gather(*calls)
        return with_all(opened, run, itertools.chain(run.evaluations, *found))

    async def _call_evaluator(
        self, opened: OpenExperiment, run: TaskRun, evaluator: Callee, pending: PendingRun, ticket: Ticket
    ) -> list[Evaluation]:
        """Call an evaluator, save its evaluations and return them."""
        job = self._job

        def convert(returned: Any) -> list[EvaluatorScore]:
            return parse_scores(returned, name=evaluator.name)

        def values() -> Mapping[str, Any]:
            return evaluator_values(run.example, run.output, run.trace_id)

        def begin(on_end: Callable[[Call], None]) -> Call:
            return job.start_call(opened, evaluator, values, stage="evaluator", convert=convert, on_end=on_end)

        def settle(result: CallResult[Any]) -> list[Evaluation]:
            self._name_dropped(opened, evaluator.name, result.value or ())
            found = evaluations_of(result)
            job.recorder.evaluated(opened, run, found)
            return found

        return await job.retries.outcome(begin, settle, ticket=ticket, reservation=pending.reservation) or []

    def _name_dropped(self, opened: OpenExperiment, evaluator: str, scores: Iterable[EvaluatorScore]) -> None:
        """Warn of returned keys that are not recorded, once for each key of an evaluator."""
        dropped = {(evaluator, key) for score in scores for key in score.dropped} - self._dropped
        if not dropped:
            return
        self._dropped |= dropped
        log.warning(
            "%s: the evaluator %s returned keys that are not recorded: %s. Move them to `metadata`, or remove them.",
            opened.experiment.name,
            evaluator,
            ", ".join(sorted(key for _, key in dropped)),
        )
