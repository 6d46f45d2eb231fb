"""The table of every setting: name, type, parser, places, help and default stand here, once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evalwire.gates import BaselineChoice, GateConfig
from evalwire.settings.options import HOW, JUDGED, SHOWN, TESTSET, option, options_of
from evalwire.settings.parsers import (
    BASELINE,
    COLUMN_OR_NONE,
    COLUMNS,
    COUNT,
    COUNT_FROM_0,
    COUNT_OR_AUTO,
    DELIMITER,
    FAILURES,
    GATES,
    NUMBER,
    PATH,
    SEPARATOR,
    SHARD,
    TEXT,
    TEXTS,
    one_of,
)

if TYPE_CHECKING:
    from evalwire.model import Price
    from evalwire.settings.shard_option import ShardOption


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's value and where it came from: `flag`, the name of a variable or a file, or `default`."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentTable:
    """What `[experiments.NAME]` says of one experiment, beside its gates."""

    dataset: str | None = option(
        TEXT, "Name of the dataset in Phoenix, where the folder cannot have that name.", default=None
    )
    helpers: tuple[str, ...] | None = option(
        TEXTS, "More files in this folder that are not evaluators; helpers.py and _*.py never are.", default=None
    )
    inputs: tuple[str, ...] | None = option(
        TEXTS,
        "Patterns of files that the task or the evaluators read unseen, relative to the parent of the experiments "
        "folder; a change in one is a change of the evaluator.",
        default=None,
    )
    isolate: Literal["thread"] | None = option(
        one_of("thread"), "Run each call of an async function on the event loop of a worker thread.", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, as attributes: `settings.concurrency`; `settings.source("concurrency")` says where from."""

    experiments: Path = option(
        PATH,
        "Look for experiments in this directory.",
        default=Path("experiments"),
        key="experiments.dir",
        flag="--experiments",
        is_read=True,
    )
    names: tuple[str, ...] = option(
        TEXTS,
        "Select only this experiment; repeatable. Without it, all are selected.",
        default=(),
        flag="--name",
        metavar="TEXT",
        is_repeatable=True,
    )
    prefix: str = option(
        TEXT,
        "Begin the names of experiments in Phoenix with this text.",
        default="eval",
        key="experiments.prefix",
        flag="--prefix",
    )
    helpers: tuple[str, ...] = option(
        TEXTS,
        "More files in experiment folders that are not evaluators; helpers.py and _*.py never are.",
        default=(),
        key="experiments.helpers",
    )
    concurrency: int = option(
        COUNT,
        "Run up to this many experiments in parallel.",
        default=1,
        key="experiments.concurrency",
        flag="--concurrency",
        panel=HOW,
    )
    task_concurrency: int | Literal["auto"] = option(
        COUNT_OR_AUTO,
        "Keep up to this many examples in flight over the whole job; `auto` adapts to the provider's rate limits.",
        default=10,
        key="experiments.task_concurrency",
        flag="--task-concurrency",
        panel=HOW,
    )
    timeout_seconds: float = option(
        NUMBER,
        "Stop one call of a task or an evaluator after this many seconds.",
        default=300.0,
        key="experiments.timeout_seconds",
        flag="--timeout",
        metavar="SECONDS",
        panel=HOW,
    )
    retries: int | None = option(
        COUNT_FROM_0,
        "Retry a call of your code up to this many times after a rate limit, a time-out, a connection error "
        "or a server error (default: 0, or 5 after rate limits with --task-concurrency auto).",
        default=None,
        key="experiments.retries",
        flag="--retries",
        panel=HOW,
    )
    retry_on: tuple[str, ...] = option(
        TEXTS, "Additional exceptions to retry, as module.ExceptionName.", default=(), key="experiments.retry_on"
    )
    repetitions: int = option(
        COUNT,
        "Run each example this many times.",
        default=1,
        key="experiments.repetitions",
        flag="--repetitions",
    )
    split: str | None = option(
        TEXT,
        "Run only the examples in this split of the datasets.",
        default=None,
        key="experiments.split",
        flag="--split",
    )
    dataset_version: str | None = option(
        TEXT, "ID of the dataset version to use (default: newest).", default=None, flag="--dataset-version"
    )
    shard: ShardOption | None = option(
        SHARD,
        "Run only part I of N of every experiment; `auto` takes both numbers from the CI system, `auto/N` only I.",
        default=None,
        flag="--shard",
    )
    plan: str | None = option(
        TEXT,
        "Share the experiments in this file, which `evalwire plan` wrote. The variable can hold the JSON itself.",
        default=None,
        flag="--plan",
        metavar="PATH",
    )
    run_key: str | None = option(
        TEXT, "Text that the shards of one pipeline run share, where neither a plan nor CI identifies it.", default=None
    )
    max_failures: float | None = option(
        FAILURES,
        "Stop after N failed runs, or after this percentage of the runs.",
        default=None,
        key="experiments.max_failures",
        flag="--max-failures",
        metavar="N|P%",
        panel=HOW,
    )
    grace_seconds: float = option(
        NUMBER,
        "Give runs in flight this many seconds to finish when the job is interrupted.",
        default=8.0,
        key="experiments.grace_seconds",
    )
    gate: tuple[str, ...] = option(
        GATES,
        "Fail the job unless this limit holds, such as 'doc_search.top_k >= 0.8'; repeatable. "
        "The variable separates limits by semicolons.",
        default=(),
        flag="--gate",
        panel=JUDGED,
        is_repeatable=True,
    )
    baseline: BaselineChoice | None = option(
        BASELINE,
        "Compare with auto, none, branch:NAME, tag:NAME, file:PATH or an experiment's ID "
        "(default: auto where a gate has max_drop).",
        default=None,
        key="gates.baseline",
        flag="--baseline",
        panel=JUDGED,
    )
    base_branch: str | None = option(
        TEXT,
        "Branch of the baselines (default: the pull request's target, else the default branch, else main).",
        default=None,
        key="gates.base_branch",
    )
    endpoint: str | None = option(
        TEXT,
        "Address of Phoenix, where no variable such as PHOENIX_ENDPOINT is set.",
        default=None,
        key="phoenix.endpoint",
    )
    public_endpoint: str | None = option(
        TEXT,
        "Address of Phoenix in links, where people reach it at another address than the job.",
        default=None,
        key="phoenix.public_endpoint",
    )
    fetch_attempts: int = option(
        COUNT,
        "Try up to this many times to fetch a dataset or to create an experiment.",
        default=5,
        key="phoenix.fetch_attempts",
        flag="--fetch-attempts",
        panel=HOW,
    )
    fetch_timeout_seconds: float = option(
        NUMBER,
        "Give up these attempts, including the waits between them, after this many seconds.",
        default=120.0,
        key="phoenix.fetch_timeout_seconds",
        flag="--fetch-timeout",
        metavar="SECONDS",
        panel=HOW,
    )
    record_timeout_seconds: float = option(
        NUMBER,
        "Try to record a run or an evaluation for up to this many seconds.",
        default=600.0,
        key="phoenix.record_timeout_seconds",
    )
    record_connections: int = option(
        COUNT,
        "Record over this many connections at once; a Phoenix on SQLite is fastest with about 4.",
        default=4,
        key="phoenix.record_connections",
    )
    report_dir: Path = option(
        PATH,
        "Write the reports and the journal to this directory.",
        default=Path("test-results"),
        key="reports.dir",
        flag="--report-dir",
        panel=SHOWN,
    )
    github_files: Path | None = option(
        PATH,
        "Directory for `outputs` and `annotations`, which the GitHub Action hands to its job; without it, annotations "
        "are printed.",
        default=None,
    )
    secrets: tuple[str, ...] = option(
        TEXTS, "Also mask the values of these variables.", default=(), key="masking.secrets"
    )
    not_secrets: tuple[str, ...] = option(
        TEXTS, "Do not mask the values of these variables.", default=(), key="masking.not_secrets"
    )
    local_dir: Path = option(
        PATH, "Directory of the Phoenix that --local starts.", default=Path(".evalwire"), key="local.dir"
    )
    csv_path: Path | None = option(
        PATH,
        "Read this testset: CSV, or .jsonl with one JSON object per line.",
        default=None,
        key="dataset.csv_path",
        flag="--csv",
        panel=TESTSET,
        is_read=True,
    )
    on_exist: Literal["skip", "overwrite", "append"] = option(
        one_of("skip", "overwrite", "append"),
        "Treat a dataset that exists in this way.",
        default="skip",
        key="dataset.on_exist",
        flag="--on-exist",
        panel=TESTSET,
    )
    input_keys: tuple[str, ...] = option(
        COLUMNS,
        "Use these columns as the input of an example.",
        default=("user_query",),
        key="dataset.input_keys",
        flag="--input-keys",
        panel=TESTSET,
    )
    output_keys: tuple[str, ...] = option(
        TEXTS,
        "Use these columns as the expected output.",
        default=("expected_output",),
        key="dataset.output_keys",
        flag="--output-keys",
        panel=TESTSET,
    )
    tag_column: str = option(
        TEXT,
        "Take the names of the datasets that a row is in from this column.",
        default="tags",
        key="dataset.tag_column",
        flag="--tag-column",
        panel=TESTSET,
    )
    delimiter: str = option(
        DELIMITER,
        "Separate the tags in a cell by this text.",
        default="|",
        key="dataset.delimiter",
        flag="--delimiter",
        panel=TESTSET,
    )
    split_columns: tuple[str, ...] | None = option(
        TEXTS,
        "Columns of the expected output that hold several items in one cell, separated like tags; without it, each "
        "cell that has the delimiter between spaces.",
        default=None,
        key="dataset.split_columns",
    )
    separator: str | None = option(
        SEPARATOR,
        "Character between two cells of a CSV file; without it, found by the header.",
        default=None,
        key="dataset.separator",
    )
    id_column: str = option(
        COLUMN_OR_NONE,
        "Column that names the examples, so that they keep their identity in an edited testset.",
        default="id",
        key="dataset.id_column",
    )
    split_column: str = option(
        COLUMN_OR_NONE,
        "Column that names the splits of the dataset that a row is in.",
        default="split",
        key="dataset.split_column",
    )

    thresholds: GateConfig = field(default_factory=GateConfig)
    prices: Mapping[str, Price] = field(default_factory=dict)
    tables: Mapping[str, ExperimentTable] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def items(self) -> list[tuple[str, Value]]:
        """Return every setting with its source, in the order of `OPTIONS`."""
        return [(one.name, Value(getattr(self, one.name), self.source(one.name))) for one in OPTIONS]

    def source(self, name: str) -> str:
        """Return where a setting's value came from."""
        return self.sources.get(name, "default")

    @property
    def configured_experiments(self) -> list[str]:
        """The names of the experiments that have a table of their own."""
        return list(self.tables)

    @property
    def helpers_by_experiment(self) -> dict[str, Collection[str]]:
        """Helper files: for all experiments under `*`, and by experiment."""
        own = {name: table.helpers for name, table in self.tables.items() if table.helpers is not None}
        return {"*": self.helpers, **own}

    @property
    def dataset_names(self) -> dict[str, str]:
        """Datasets that are not named like their experiment's folder."""
        return {name: table.dataset for name, table in self.tables.items() if table.dataset is not None}

    @property
    def input_patterns(self) -> dict[str, tuple[str, ...]]:
        """Patterns of files that an experiment reads unseen, by experiment."""
        return {name: table.inputs for name, table in self.tables.items() if table.inputs is not None}

    @property
    def isolated_experiments(self) -> list[str]:
        """Experiments whose async functions run each on a thread of their own."""
        return [name for name, table in self.tables.items() if table.isolate is not None]


OPTIONS = options_of(Settings)
EXPERIMENT_OPTIONS = options_of(ExperimentTable)
