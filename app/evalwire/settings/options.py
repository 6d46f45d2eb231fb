"""Every setting, declared once: its name, its places, what it may be, and what it is when nobody sets it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.gates import BaselineChoice, GateConfig
from evalwire.settings.shard_option import ShardOption

if TYPE_CHECKING:
    from collections.abc import Callable


def as_text(value: Any) -> str:
    """Text that is not empty, or a ValueError saying so."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected text that is not empty")
    return value


def _delimiter(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected one character or more")
    return value


def _column_or_none(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected the name of a column, or an empty text")
    return value


def _path(value: Any) -> Path:
    return value if isinstance(value, Path) else Path(as_text(value))


def as_texts(value: Any) -> tuple[str, ...]:
    """Several texts: a list, or one text with commas."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("expected a list of texts, or a comma-separated text")
    texts = tuple(item.strip() for item in items if item.strip())
    if items and not texts:
        raise ValueError("expected at least one text that is not empty")
    return texts


def _columns(value: Any) -> tuple[str, ...]:
    columns = as_texts(value)
    if not columns:
        raise ValueError("expected at least one column")
    return columns


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("expected a number")
    try:
        number = float(value)
    except ValueError:
        raise ValueError("expected a number") from None
    if not 0 < number < float("inf"):
        raise ValueError("expected a number above 0")
    return number


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected a whole number")
    try:
        number = int(value)
    except ValueError:
        raise ValueError("expected a whole number") from None
    if number < 1:
        raise ValueError("expected a whole number, 1 or more")
    return number


def _count_or_auto(value: Any) -> int | str:
    if value == "auto":
        return "auto"
    try:
        return _count(value)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


def _count_from_0(value: Any) -> int:
    if value in (0, "0") and not isinstance(value, bool):
        return 0
    try:
        return _count(value)
    except ValueError:
        raise ValueError("expected a whole number, 0 or more") from None


def _failures(value: Any) -> float:
    """A number of failures, or, below 1, a share of the runs."""
    text = str(value).strip()
    with contextlib.suppress(ValueError):
        if text.endswith("%"):
            share = float(text.removesuffix("%")) / 100
        elif isinstance(value, float):
            share = value
        else:
            return float(_count(value))
        if 0 < share < 1:
            return share
    raise ValueError("expected a whole number, 1 or more, or a share such as 5%")


def one_of(*words: str) -> Callable[[Any], str]:
    """One of these words, or a ValueError naming them."""

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(f"expected one of: {', '.join(words)}")
        return str(value)

    return parse


def _gates(value: Any) -> tuple[str, ...]:
    """Gates as `--gate` has them; in a variable, separated by semicolons."""
    if isinstance(value, str):
        texts = tuple(text.strip() for text in value.split(";") if text.strip())
        is_lacking = not texts
    else:
        texts = tuple(text.strip() for text in value)
        is_lacking = not all(texts)
    if is_lacking:  # such as of a variable of the pipeline that is not set: no limit would be judged
        raise ValueError("expected a limit, such as 'accuracy >= 0.9', not an empty text")
    GateConfig().with_flags(texts)
    return texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting.

    Attributes:
        name: its name in the program.
        key: its place in `evalwire.toml`, as `section.key`; None when it cannot be set there.
        flag: its flag on the command line, for the documentation.
        parse: checks and converts a value; raises ValueError saying what was expected.
        default: its value when nobody sets it.
        is_path: whether a relative value in `evalwire.toml` is relative to that file.
        is_read: whether it is looked for in the working directory too, as 0.6 did, where it is not beside that file.
    """

    name: str
    key: str | None
    flag: str | None
    parse: Callable[[Any], Any]
    default: Any
    help: str
    is_path: bool = False
    is_read: bool = False

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"EVALWIRE_{self.name.upper()}"


OPTIONS = (
    Option(
        name="experiments",
        key="experiments.dir",
        flag="--experiments",
        parse=_path,
        default=Path("experiments"),
        help="folder of the experiments",
        is_path=True,
        is_read=True,
    ),
    Option(
        name="names",
        key=None,
        flag="--name",
        parse=as_texts,
        default=(),
        help="only these experiments; all when empty",
    ),
    Option(
        name="prefix",
        key="experiments.prefix",
        flag="--prefix",
        parse=as_text,
        default="eval",
        help="first part of the experiments' names in Phoenix",
    ),
    Option(
        name="helpers",
        key="experiments.helpers",
        flag=None,
        parse=as_texts,
        default=(),
        help="files in experiment folders that are no evaluators (beside helpers.py and _*.py)",
    ),
    Option(
        name="concurrency",
        key="experiments.concurrency",
        flag="--concurrency",
        parse=_count,
        default=1,
        help="experiments in parallel",
    ),
    Option(
        name="task_concurrency",
        key="experiments.task_concurrency",
        flag="--task-concurrency",
        parse=_count_or_auto,
        default=10,
        help="examples in flight over the whole job; auto finds how many the provider bears",
    ),
    Option(
        name="timeout_seconds",
        key="experiments.timeout_seconds",
        flag="--timeout",
        parse=_number,
        default=300.0,
        help="seconds for one call of a task or an evaluator",
    ),
    Option(
        name="retries",
        key="experiments.retries",
        flag="--retries",
        parse=_count_from_0,
        default=None,
        help="further calls of your code after a rate limit, a time-out or a connection error; none by default "
        "(5 after rate limits where task_concurrency is auto)",
    ),
    Option(
        name="retry_on",
        key="experiments.retry_on",
        flag=None,
        parse=as_texts,
        default=(),
        help="further errors that are worth it, as module.ExceptionName",
    ),
    Option(
        name="repetitions",
        key="experiments.repetitions",
        flag="--repetitions",
        parse=_count,
        default=1,
        help="runs of each example",
    ),
    Option(
        name="split",
        key="experiments.split",
        flag="--split",
        parse=as_text,
        default=None,
        help="only the examples of this split of the datasets",
    ),
    Option(
        name="dataset_version",
        key=None,
        flag="--dataset-version",
        parse=as_text,
        default=None,
        help="this version of the dataset, by its id in Phoenix, instead of the newest",
    ),
    Option(
        name="shard",
        key=None,
        flag="--shard",
        parse=lambda value: value if isinstance(value, ShardOption) else ShardOption.parse(as_text(value)),
        default=None,
        help="only a part of every experiment: 2/5, or auto, by the variables of CI's parallel jobs (auto/5 where they "
        "do not tell the total)",
    ),
    Option(
        name="plan",
        key=None,
        flag="--plan",
        parse=as_text,
        default=None,
        help="the plan of the shards, as `evalwire plan` wrote it: a file, or in the variable the JSON itself",
    ),
    Option(
        name="run_key",
        key=None,
        flag=None,
        parse=as_text,
        default=None,
        help="what the shards of one pipeline run have in common, where there is no plan and CI does not tell it",
    ),
    Option(
        name="max_failures",
        key="experiments.max_failures",
        flag="--max-failures",
        parse=_failures,
        default=None,
        help="failures (a number, or a share such as 5%) that end the job; --fail-fast is 1",
    ),
    Option(
        name="grace_seconds",
        key="experiments.grace_seconds",
        flag=None,
        parse=_number,
        default=8.0,
        help="seconds for what is in flight when the job is interrupted",
    ),
    Option(
        name="gate",
        key=None,
        flag="--gate",
        parse=_gates,
        default=(),
        help="limits beside those of [gates], such as 'es_search.top_k >= 0.8'; in the variable, with ; between them",
    ),
    Option(
        name="baseline",
        key="gates.baseline",
        flag="--baseline",
        parse=lambda value: value if isinstance(value, BaselineChoice) else BaselineChoice.parse(as_text(value)),
        default=None,
        help="what results are compared with: auto (where max_drop is set), none, branch:NAME, tag:NAME, file:PATH, "
        "or an experiment's id",
    ),
    Option(
        name="base_branch",
        key="gates.base_branch",
        flag=None,
        parse=as_text,
        default=None,
        help="branch of the baselines, where it is not the pull request's target or the default branch, or CI does "
        "not tell them (then main)",
    ),
    Option(
        name="endpoint",
        key="phoenix.endpoint",
        flag=None,
        parse=as_text,
        default=None,
        help="Phoenix's address, where PHOENIX_ENDPOINT and its like are not set",
    ),
    Option(
        name="public_endpoint",
        key="phoenix.public_endpoint",
        flag=None,
        parse=as_text,
        default=None,
        help="Phoenix's address in links, where people reach it by another one than this job",
    ),
    Option(
        name="fetch_attempts",
        key="phoenix.fetch_attempts",
        flag="--fetch-attempts",
        parse=_count,
        default=5,
        help="tries to fetch a dataset or create an experiment",
    ),
    Option(
        name="fetch_timeout_seconds",
        key="phoenix.fetch_timeout_seconds",
        flag="--fetch-timeout",
        parse=_number,
        default=120.0,
        help="seconds for all those tries together, waits included",
    ),
    Option(
        name="record_timeout_seconds",
        key="phoenix.record_timeout_seconds",
        flag=None,
        parse=_number,
        default=600.0,
        help="seconds that a run or an evaluation is tried to be recorded",
    ),
    Option(
        name="record_connections",
        key="phoenix.record_connections",
        flag=None,
        parse=_count,
        default=4,
        help="connections that record at once (a Phoenix on SQLite is fastest at about 4)",
    ),
    Option(
        name="report_dir",
        key="reports.dir",
        flag="--report-dir",
        parse=_path,
        default=Path("test-results"),
        help="folder for the reports and the journal",
        is_path=True,
    ),
    Option(
        name="github_files",
        key=None,
        flag=None,
        parse=_path,
        default=None,
        help="folder for `outputs` and `annotations`, which the GitHub Action hands to its job; without it, "
        "annotations are printed",
        is_path=True,
    ),
    Option(
        name="local_dir",
        key="local.dir",
        flag=None,
        parse=_path,
        default=Path(".evalwire"),
        help="folder of the Phoenix that --local starts",
        is_path=True,
    ),
    Option(
        name="csv_path",
        key="dataset.csv_path",
        flag="--csv",
        parse=_path,
        default=None,
        help="testset that `evalwire upload`, and `run --local`, upload",
        is_path=True,
        is_read=True,
    ),
    Option(
        name="on_exist",
        key="dataset.on_exist",
        flag="--on-exist",
        parse=one_of("skip", "overwrite", "append"),
        default="skip",
        help="what `evalwire upload` does with a dataset that exists: skip, overwrite, append",
    ),
    Option(
        name="input_keys",
        key="dataset.input_keys",
        flag="--input-keys",
        parse=_columns,
        default=("user_query",),
        help="columns of the testset that become the example's input",
    ),
    Option(
        name="output_keys",
        key="dataset.output_keys",
        flag="--output-keys",
        parse=_columns,
        default=("expected_output",),
        help="columns of the testset that become the expected output",
    ),
    Option(
        name="tag_column",
        key="dataset.tag_column",
        flag="--tag-column",
        parse=as_text,
        default="tags",
        help="column that names the datasets a row belongs to",
    ),
    Option(
        name="delimiter",
        key="dataset.delimiter",
        flag="--delimiter",
        parse=_delimiter,
        default="|",
        help="what separates the tags in one cell",
    ),
    Option(
        name="split_columns",
        key="dataset.split_columns",
        flag=None,
        parse=as_texts,
        default=(),
        help="columns of the expected output that hold several items in one cell, separated as the tags are",
    ),
    Option(
        name="id_column",
        key="dataset.id_column",
        flag=None,
        parse=_column_or_none,
        default="id",
        help="column, where there is one, that names the examples, so that they stay the same in an edited testset",
    ),
    Option(
        name="split_column",
        key="dataset.split_column",
        flag=None,
        parse=_column_or_none,
        default="split",
        help="column, where there is one, that names the splits of the dataset that a row is in",
    ),
)
