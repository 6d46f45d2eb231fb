"""Which recorded experiment a run is compared with (pure)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evalwire.model import own_metadata, recorded_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

KINDS = ("auto", "none", "branch:NAME", "tag:NAME", "file:PATH", "an experiment's id")

_MOST_LOOKED_AT = 5_000  # experiments of one dataset

_MOST_FITTING = 100  # whose examples are looked at, where none has all


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
        prefix: of its name in Phoenix; None for any.
        split: of the dataset, or None for all of it.
        dataset_version: the ID of the dataset's version; None for the newest.
        contents: the content hash of each of its examples, by the example's id; None where they are not known yet.
        branches: that a baseline may have run on; None among them stands for no branch.
        base_branch: a run of a pull request on a branch of this name is a fork's, and no baseline.
        experiment_ids: of the job itself, which is no baseline of its own.
        is_any_outcome: whether one that ended red will do, too.
        before: only experiments that were created earlier count; None for all.
    """

    experiment: str
    dataset_name: str
    prefix: str | None = None
    split: str | None = None
    dataset_version: str | None = None
    contents: Mapping[str, str] | None = None
    branches: Collection[str | None] = ()
    base_branch: str = "main"
    experiment_ids: Collection[str] = ()
    is_any_outcome: bool = False
    before: datetime | None = None


def choose_baseline(
    records: Iterable[Mapping[str, Any]],
    subject: BaselineQuery,
    coverage: Callable[[Mapping[str, Any]], float] = lambda _: 1.0,
) -> tuple[Mapping[str, Any] | None, str]:
    """Return the experiment that is a subject's baseline, or None and why there is none.

    It was recorded by evalwire, completely, and passed; it is of the same folder and prefix, and ran on one of the
    branches. Among those it is the newest that covers all examples of the subject, else the one that covers most.

    Args:
        records: Phoenix's of the experiments on the dataset, the newest first.
        subject: what is to be compared.
        coverage: the share, from 0 to 1, of the subject's examples that a recorded experiment has unchanged.
    """
    nearest: tuple[int, str] | None = None
    best: tuple[float, Mapping[str, Any]] | None = None
    fitting = 0
    for record in itertools.islice(records, _MOST_LOOKED_AT):
        is_later = subject.before is not None and datetime.fromisoformat(record["created_at"]) >= subject.before
        if record["id"] in subject.experiment_ids or is_later:
            continue
        rank, reason = _against(record, subject)
        if reason:
            if nearest is None or rank > nearest[0]:
                nearest = rank, f"{record['name']} ({record['id']}) {reason}"
            continue
        share = coverage(record)
        if best is None or share > best[0]:
            best = share, record
        fitting += 1
        if share >= 1 or fitting >= _MOST_FITTING:
            break
    if best is not None:
        return best[1], ""
    where = " or ".join(f"on branch {branch}" if branch else "without a branch" for branch in subject.branches)
    return None, f"none recorded {where} yet" + (f"; {nearest[1]}" if nearest and nearest[0] > 0 else "")


def covered_share(contents: Mapping[str, str], others: Mapping[str, str]) -> float:
    """Return the share of examples that others have with the same content; 1 where there are none.

    Args:
        contents: the content hash of each example, by its id.
        others: likewise.
    """
    return sum(others.get(one) == content for one, content in contents.items()) / len(contents) if contents else 1.0


def _against(record: Mapping[str, Any], subject: BaselineQuery) -> tuple[int, str]:
    """Why a record is no baseline, and how near it came; an empty text when it is one."""
    metadata = record.get("metadata") or {}
    facts = own_metadata(metadata)
    prefix = recorded_prefix(record, subject.dataset_name)
    reasons = (
        (not facts, "was not recorded by evalwire"),
        (facts.get("experiment") != subject.experiment, f"is of the folder {facts.get('experiment')}"),
        (metadata.get("branch") not in subject.branches, f"ran on the branch {metadata.get('branch') or '(unknown)'}"),
        (
            bool(metadata.get("pull_request"))
            and metadata.get("branch") in (metadata.get("base_branch"), subject.base_branch),
            "is of a fork, whose branch has the same name",
        ),
        (
            subject.prefix is not None and prefix is not None and prefix != subject.prefix,
            f"has another prefix: {prefix}, not {subject.prefix}",
        ),
        (bool(facts.get("mixed")), "is mixed: its code or its dataset was changed before it was resumed"),
        (facts.get("outcome") is None or bool(record.get("missing_run_count")), "did not run to its end"),
        (facts.get("outcome") != "passed" and not subject.is_any_outcome, f"ended as {facts.get('outcome')}"),
    )
    return next(((rank, reason) for rank, (is_so, reason) in enumerate(reasons) if is_so), (len(reasons), ""))


def find_base_branch(ci: Mapping[str, Any], setting: str | None) -> str:
    """Return the base branch: the setting, else the pull request's target or the default branch, else `main`.

    Args:
        ci: what is known of the CI job.
        setting: `[gates] base_branch`; None where it is not set.
    """
    return setting or str(ci.get("base_branch") or "main")


def is_of_base_branch(ci: Mapping[str, Any], base_branch: str) -> bool:
    """Check whether a CI job runs on the base branch itself, and not on a pull request.

    Args:
        ci: what is known of the CI job.
        base_branch: as `find_base_branch` gives it.
    """
    return ci.get("branch") == base_branch and not ci.get("pull_request")


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
