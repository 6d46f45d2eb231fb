"""Choose the recorded experiment to compare a run with (pure)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evalwire.model import baseline_obstacle, own_metadata, recorded_prefix, recorded_start

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

KINDS = ("auto", "none", "branch:NAME", "tag:NAME", "file:PATH", "an experiment ID")

_MOST_RECORDS = 5_000  # experiments of a dataset to consider

MOST_HISTORY = 30  # experiments in a trend

_MOST_HISTORY_RECORDS = 1_000  # experiments of a dataset to consider for a trend: five requests

_MOST_CANDIDATES = 100  # candidates whose examples are compared if no candidate has them all


@dataclass(frozen=True, slots=True)
class BaselineChoice:
    """The requested baseline: `kind` is `auto`, `none`, `branch`, `tag`, `file` or `id`."""

    kind: str
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> BaselineChoice:
        """Parse `auto`, `none`, `branch:NAME`, `tag:NAME`, `file:PATH` or an experiment ID.

        Raises:
            ValueError: the text has none of these forms.
        """
        kind, colon, value = text.strip().partition(":")
        if kind in ("auto", "none") and not colon:
            return cls(kind)
        if colon and kind in ("branch", "tag", "file") and value:
            return cls(kind, value)
        if not kind or colon or any(letter.isspace() for letter in kind):
            raise ValueError(f"expected {', '.join(KINDS[:-1])} or {KINDS[-1]}")
        return cls("id", kind)

    def __str__(self) -> str:
        return self.value if self.kind == "id" else f"{self.kind}:{self.value}" if self.value else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineQuery:
    """The experiment to compare, and the conditions that its baseline must meet.

    Attributes:
        experiment: directory name of the experiment.
        dataset_name: name of the experiment's dataset.
        prefix: required prefix of the name in Phoenix; None for any prefix.
        split: split of the dataset; None for the whole dataset.
        dataset_version: ID of the dataset version; None for the newest version.
        contents: content hashes of the examples by example ID; None if not known yet.
        branches: branches that a baseline may have run on; a None entry allows runs without a branch.
        fallback: another branch to use if no experiment on `branches` can be the baseline; None for no other branch.
        is_ci: whether the job runs in CI, where experiments of working copies cannot be baselines.
        base_branch: name of the base branch. A pull request from a branch of this name comes from a fork, so its run
            cannot be a baseline.
        experiment_ids: IDs of the experiments that the job itself recorded; they cannot be baselines.
        is_any_outcome: whether an experiment that did not pass may be a baseline.
        before: start time that a baseline must precede; None for any time.
    """

    experiment: str
    dataset_name: str
    prefix: str | None = None
    split: str | None = None
    dataset_version: str | None = None
    contents: Mapping[str, str] | None = None
    branches: Collection[str | None] = ()
    fallback: str | None = None
    is_ci: bool = False
    base_branch: str = "main"
    experiment_ids: Collection[str] = ()
    is_any_outcome: bool = False
    before: datetime | None = None


def choose_baseline(
    records: Iterable[Mapping[str, Any]],
    subject: BaselineQuery,
    coverage: Callable[[Mapping[str, Any]], float] = lambda _: 1.0,
) -> tuple[Mapping[str, Any] | None, str]:
    """Return the baseline of a subject, or None and the reason why there is no baseline.

    Candidates were recorded completely by evalwire, and passed. They have the experiment name and the prefix of the
    subject, and ran on a branch that the subject allows. The newest candidate that covers all examples of the
    subject is the baseline, or else the candidate that covers most examples.

    Args:
        records: Phoenix's records of the experiments on the dataset, newest first.
        subject: the experiment to compare.
        coverage: function that returns the share, from 0 to 1, of the subject's examples that a recorded experiment
            has unchanged.
    """
    nearest: tuple[int, str] | None = None
    best: tuple[float, Mapping[str, Any]] | None = None
    candidates = 0
    for record in itertools.islice(records, _MOST_RECORDS):
        if _is_excluded(record, subject):
            continue
        rank, reason = _obstacle(record, subject)
        if reason:
            if nearest is None or rank > nearest[0]:
                nearest = rank, f"{record['name']} ({record['id']}) {reason}"
            continue
        share = coverage(record)
        if best is None or share > best[0]:
            best = share, record
        candidates += 1
        if share >= 1 or candidates >= _MOST_CANDIDATES:
            break
    if best is not None:
        return best[1], ""
    where = " or ".join(f"on branch {branch}" if branch else "without a branch" for branch in subject.branches)
    return None, f"none recorded {where} yet" + (f"; {nearest[1]}" if nearest and nearest[0] > 0 else "")


def choose_history(records: Iterable[Mapping[str, Any]], subject: BaselineQuery) -> list[Mapping[str, Any]]:
    """Return the experiments of a trend, newest first: experiments that ended, whatever their outcome.

    Except for the outcome and the examples, they meet the conditions of a baseline. They used the subject's split.

    Args:
        records: Phoenix's records of the experiments on the dataset, newest first.
        subject: the experiment that the trend is for.
    """
    wanted = replace(subject, is_any_outcome=True)
    fitting = (
        record
        for record in itertools.islice(records, _MOST_HISTORY_RECORDS)
        if not _is_excluded(record, wanted)
        and not _obstacle(record, wanted)[1]
        and own_metadata(record.get("metadata")).get("split") == subject.split
    )
    return list(itertools.islice(fitting, MOST_HISTORY))


def covered_share(contents: Mapping[str, str], others: Mapping[str, str]) -> float:
    """Return the share of examples, from 0 to 1, that others have with the same content; 1 without examples.

    Args:
        contents: content hashes of the examples by example ID.
        others: content hashes of the other examples by example ID.
    """
    if not contents:
        return 1.0
    return sum(others.get(example_id) == content for example_id, content in contents.items()) / len(contents)


def _is_excluded(record: Mapping[str, Any], subject: BaselineQuery) -> bool:
    """Check whether an experiment is the subject's own, or did not start before it."""
    is_later = subject.before is not None and recorded_start(record) >= subject.before
    return is_later or record["id"] in subject.experiment_ids


def _obstacle(record: Mapping[str, Any], subject: BaselineQuery) -> tuple[int, str]:
    """Return the rank of the first condition that a record fails, and the reason; empty if it meets all conditions."""
    metadata = record.get("metadata") or {}
    facts = own_metadata(metadata)
    prefix = recorded_prefix(record, subject.dataset_name)
    reasons = (
        (not facts, "was not recorded by evalwire"),
        (facts.get("experiment") != subject.experiment, f"belongs to the experiment {facts.get('experiment')}"),
        (metadata.get("branch") not in subject.branches, f"ran on branch {metadata.get('branch') or '(unknown)'}"),
        (subject.is_ci and is_working_copy(metadata), "was recorded outside of CI"),
        (
            bool(metadata.get("pull_request"))
            and metadata.get("branch") in (metadata.get("base_branch"), subject.base_branch),
            "ran in a fork, on a branch with the same name",
        ),
        (
            subject.prefix is not None and prefix is not None and prefix != subject.prefix,
            f"has the prefix {prefix} instead of {subject.prefix}",
        ),
        (bool(obstacle := baseline_obstacle(metadata)), obstacle),
        (bool(facts.get("mixed")), "is mixed: its code or dataset changed before it was resumed"),
        (facts.get("outcome") is None or bool(record.get("missing_run_count")), "did not finish"),
        (facts.get("outcome") != "passed" and not subject.is_any_outcome, f"has the outcome {facts.get('outcome')}"),
    )
    return next(((rank, reason) for rank, (is_so, reason) in enumerate(reasons) if is_so), (len(reasons), ""))


def find_base_branch(ci: Mapping[str, Any], setting: str | None) -> str:
    """Return the base branch: the setting, or the target of the pull request or the default branch, or `main`.

    Args:
        ci: metadata of the CI job.
        setting: value of `[gates] base_branch`; None if it is not set.
    """
    return setting or str(ci.get("base_branch") or "main")


def is_of_base_branch(ci: Mapping[str, Any], base_branch: str) -> bool:
    """Check whether a CI job runs on the base branch itself, not on a pull request.

    Args:
        ci: metadata of the CI job.
        base_branch: result of `find_base_branch`.
    """
    return ci.get("branch") == base_branch and not ci.get("pull_request")


def branches_for(asked: BaselineChoice, ci: Mapping[str, Any], base_branch: str) -> list[str | None]:
    """Return the branches that a baseline may have run on.

    A job outside of CI, or a job that does not know its branch, may also be compared with a run without a branch.

    Args:
        asked: the requested baseline.
        ci: metadata of the CI job, or of the working copy.
        base_branch: result of `find_base_branch`.
    """
    if asked.kind == "branch":
        return [asked.value]
    return [base_branch, None] if is_working_copy(ci) or not ci.get("branch") else [base_branch]


def fallback_branch(asked: BaselineChoice, ci: Mapping[str, Any]) -> str | None:
    """Return the branch of a working copy, for a project whose base branch has no baseline; None in CI.

    Args:
        asked: the requested baseline.
        ci: metadata of the CI job, or of the working copy.
    """
    return ci.get("branch") if asked.kind == "auto" and is_working_copy(ci) else None


def on_branches(query: BaselineQuery, asked: BaselineChoice, ci: Mapping[str, Any], base_branch: str) -> BaselineQuery:
    """Return a query with the branches that a baseline may have run on.

    Args:
        query: the query.
        asked: the requested baseline.
        ci: metadata of the CI job, or of the working copy.
        base_branch: result of `find_base_branch`.
    """
    return replace(
        query,
        branches=branches_for(asked, ci, base_branch),
        fallback=fallback_branch(asked, ci),
        is_ci="ci" in ci,
        base_branch=base_branch,
    )


def is_working_copy(metadata: Mapping[str, Any]) -> bool:
    """Check whether a job ran outside of CI, with its branch and commit from git."""
    return "dirty" in metadata
