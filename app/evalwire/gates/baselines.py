"""Which recorded experiment a run is compared with (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evalwire.model import own_metadata

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

KINDS = ("auto", "none", "branch:NAME", "tag:NAME", "file:PATH", "an experiment's id")

_MOST_LOOKED_AT = 5_000  # experiments of one dataset


@dataclass(frozen=True, slots=True)
class BaselineChoice:
    """Which baseline is asked for: `kind` is `auto`, `none`, `branch`, `tag`, `file` or `id`."""

    kind: str
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> BaselineChoice:
        """Read `auto`, `none`, `branch:NAME`, `tag:NAME`, `file:PATH` or an experiment's id.

        Raises:
            ValueError: it is none of these.
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
    """An experiment that is to be compared.

    Attributes:
        experiment: the name of its folder.
        dataset_name: the dataset that it is on.
        evaluators: the hash of each evaluator's file, by name; None where it is not known.
        split: of the dataset, or None for all of it.
        repetitions: of each example; None for any number.
        branches: that a baseline may have run on; None among them stands for no branch.
        base_branch: a run of a pull request on a branch of this name is a fork's, and no baseline.
        experiment_ids: of the job itself, which is no baseline of its own.
        is_any_outcome: whether one that ended red will do, too.
        before: only experiments that were created earlier count; None for all.
    """

    experiment: str
    dataset_name: str
    evaluators: Mapping[str, str] | None
    split: str | None = None
    repetitions: int | None = 1
    branches: Collection[str | None] = ()
    base_branch: str = "main"
    experiment_ids: Collection[str] = ()
    is_any_outcome: bool = False
    before: datetime | None = None


def choose_baseline(
    records: Iterable[Mapping[str, Any]], subject: BaselineQuery
) -> tuple[Mapping[str, Any] | None, str]:
    """The newest experiment that may be a subject's baseline, or None and why there is none.

    It was recorded by evalwire, completely, and passed; it is of the same folder, split, repetitions and evaluators,
    and ran on one of the branches.

    Args:
        records: Phoenix's of the experiments on the dataset, the newest first.
        subject: what is to be compared.
    """
    nearest: tuple[int, str] | None = None
    for number, record in enumerate(records):
        if number >= _MOST_LOOKED_AT:
            break
        is_later = subject.before is not None and datetime.fromisoformat(record["created_at"]) >= subject.before
        if record["id"] in subject.experiment_ids or is_later:
            continue
        rank, reason = _against(record, subject)
        if not reason:
            return record, ""
        if nearest is None or rank > nearest[0]:
            nearest = rank, f"{record['name']} ({record['id']}) {reason}"
    where = " or ".join(f"on branch {branch}" if branch else "without a branch" for branch in subject.branches)
    return None, f"none recorded {where} yet" + (f"; {nearest[1]}" if nearest and nearest[0] > 0 else "")


def _against(record: Mapping[str, Any], subject: BaselineQuery) -> tuple[int, str]:
    """Why a record is no baseline, and how near it came; an empty text when it is one."""
    metadata = record.get("metadata") or {}
    facts = own_metadata(metadata)
    evaluators = facts.get("evaluators")
    reasons = (
        (not facts, "was not recorded by evalwire"),
        (facts.get("experiment") != subject.experiment, f"is of the folder {facts.get('experiment')}"),
        (metadata.get("branch") not in subject.branches, f"ran on the branch {metadata.get('branch') or '(unknown)'}"),
        (
            bool(metadata.get("pull_request"))
            and metadata.get("branch") in (metadata.get("base_branch"), subject.base_branch),
            "is of a fork, whose branch has the same name",
        ),
        (facts.get("split") != subject.split, f"is of the split {facts.get('split') or '(all)'}"),
        (
            subject.repetitions is not None and facts.get("repetitions", 1) != subject.repetitions,
            f"has {facts.get('repetitions')} repetitions",
        ),
        (
            subject.evaluators is not None and evaluators != subject.evaluators,
            f"has other evaluators: {_differing(evaluators, subject.evaluators)}",
        ),
        (facts.get("outcome") is None or bool(record.get("missing_run_count")), "did not run to its end"),
        (facts.get("outcome") != "passed" and not subject.is_any_outcome, f"ended as {facts.get('outcome')}"),
    )
    return next(((rank, reason) for rank, (is_so, reason) in enumerate(reasons) if is_so), (len(reasons), ""))


def _differing(theirs: Any, ours: Mapping[str, str] | None) -> str:
    theirs, ours = theirs or {}, ours or {}
    return ", ".join(sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name)))


def find_base_branch(ci: Mapping[str, Any], setting: str | None) -> str:
    """Return the base branch: the setting, else the pull request's target or the default branch, else `main`.

    Args:
        ci: what is known of the CI job.
        setting: `[gates] base_branch`; None where it is not set.
    """
    return setting or str(ci.get("base_branch") or "main")


def branches_for(asked: BaselineChoice, ci: Mapping[str, Any], base_branch: str) -> list[str | None]:
    """The branches that a baseline may be of.

    A run that knows no branch, on somebody's machine, may be compared with another such run.

    Args:
        asked: the baseline that was asked for.
        ci: what is known of the CI job.
        base_branch: as `find_base_branch` gives it.
    """
    if asked.kind == "branch":
        return [asked.value]
    return [base_branch] if ci.get("branch") else [base_branch, None]
