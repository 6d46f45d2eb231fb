"""End experiments of a job when their gates are decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.experiments import digest_today
from evalwire.gates import ExperimentStopping, changed_evaluators, with_shares
from evalwire.model import CREATION_KEY, ExperimentResult, random_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalwire.jobs.gating import Gating
    from evalwire.jobs.run import Job
    from evalwire.model import JobSpec, OpenExperiment, StoppingRules
    from evalwire.settings import Settings


def check_early(settings: Settings, spec: JobSpec) -> None:
    """Check that a job with early verdicts sees all examples of its experiments.

    Raises:
        UsageError: the job is a shard, which sees only a part of the examples.
    """
    if spec.stopping is not None and spec.sharing is not None:
        raise UsageError(
            f"a shard cannot end early (from: {settings.source('stop_early')}), because it does not see the results of "
            "the other shards. Omit --stop-early, set EVALWIRE_STOP_EARLY=false for shards, or run without shards."
        )


def with_early_verdicts(job: Job, gating: Gating, settings: Settings, *, say: Callable[[str], object]) -> Job:
    """Return the job with its rules for early verdicts, or without them where they do not apply.

    Args:
        job: the job.
        gating: the gates and baselines.
        settings: the settings of the job.
        say: receives the reason why no experiment ends early.
    """
    rules = job.spec.stopping
    if rules is None:
        return job
    reason = ""
    if job.dry_run is not None or job.spec.selection is not None:
        reason = "no gate is applied to this run"
    elif not gating.gates:
        reason = "no gates are configured"
    elif all(gate.rule == "min_llm_calls" for gate in gating.gates):
        reason = "the gates limit only the number of model calls"
    elif gating.is_base_branch and not settings.stop_base_branch:
        reason = "experiments on the base branch run whole, because they become baselines"
    if reason:
        say(f"--stop-early has no effect: {reason}")
    stopping = None if reason else with_shares(rules, gating.gates)
    return replace(job, spec=replace(job.spec, stopping=stopping))


@dataclass(frozen=True, slots=True, kw_only=True)
class GateWatches:
    """The early verdicts of a job.

    Attributes:
        gating: the gates and baselines.
        rules: the rules of early verdicts.
    """

    gating: Gating
    rules: StoppingRules

    def watch(self, opened: OpenExperiment) -> ExperimentStopping | None:
        """Return the gates that decide the end of an experiment; None without gates, or if all runs were made."""
        name = opened.experiment.name
        if opened.earlier and len(opened.earlier) == len(opened.dataset.examples) * opened.repetitions:
            return None
        gates = [gate for gate in self.gating.gates if gate.experiment == name]
        key = opened.metadata.get(CREATION_KEY)
        if not gates or key is None:
            return None
        examples = opened.dataset.examples
        before = self.gating.baselines.get(name)
        before = before if isinstance(before, ExperimentResult) else None
        return ExperimentStopping(
            gates,
            examples,
            order=random_order(str(key), [example.id for example in examples]),
            repetitions=opened.repetitions,
            rules=self.rules,
            before=before,
            changed=_changed(opened, before),
            prices=self.gating.prices,
        )


def _changed(opened: OpenExperiment, before: ExperimentResult | None) -> list[str]:
    """Return the evaluators that changed since the baseline, as far as it is known before the run."""
    if before is None:
        return []
    experiment = opened.experiment
    nothing = ExperimentResult(
        name=experiment.name,
        dataset_name=experiment.dataset_name,
        evaluator_names=tuple(evaluator.name for evaluator in experiment.evaluators),
        opened=opened,
    )
    return list(changed_evaluators(nothing, before, digest_today))
