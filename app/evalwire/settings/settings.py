"""The table of all settings: the only place that declares their names, types, parsers, sources, help and defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evalwire.gates import BaselineChoice, GateConfig
from evalwire.settings.ending_settings import EndingSettings
from evalwire.settings.experiment_settings import ExperimentTable, Value
from evalwire.settings.options import GATING, LIMITS, OUTPUT, TESTSET, option, options_of
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
    NUMBER_FROM_0,
    PATH,
    SEPARATOR,
    SHARD,
    SWITCH,
    TEXT,
    TEXTS,
    choice,
)

if TYPE_CHECKING:
    from evalwire.model import Price, Variant
    from evalwire.settings.shard_option import ShardOption


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(EndingSettings):
    """All settings as attributes, such as `settings.concurrency`; `source("concurrency")` returns the source."""

    experiments: Path = option(
        PATH,
        "Directory that contains the experiments.",
        default=Path("experiments"),
        key="experiments.dir",
        flag="--experiments",
        is_read=True,
    )
    names: tuple[str, ...] = option(
        TEXTS,
        "Select only this experiment (repeatable; default: all experiments).",
        default=(),
        flag="--name",
        metavar="TEXT",
        is_repeatable=True,
    )
    variants: tuple[str, ...] = option(
        TEXTS,
        "Select only this variant of the experiments, or `default` for the experiments without a variant's variables "
        "(repeatable; default: all variants in evalwire.toml).",
        default=(),
        flag="--variant",
        metavar="TEXT",
        is_repeatable=True,
    )
    prefix: str = option(
        TEXT,
        "Prefix of experiment names in Phoenix.",
        default="eval",
        key="experiments.prefix",
        flag="--prefix",
    )
    helpers: tuple[str, ...] = option(
        TEXTS,
        "Files in experiment directories that are not evaluators, in addition to helpers.py and _*.py.",
        default=(),
        key="experiments.helpers",
    )
    concurrency: int = option(
        COUNT,
        "Maximum number of experiments to run in parallel.",
        default=1,
        key="experiments.concurrency",
        flag="--concurrency",
        panel=LIMITS,
    )
    task_concurrency: int | Literal["auto"] = option(
        COUNT_OR_AUTO,
        "Maximum number of examples in flight across the whole job. `auto` adapts to the provider's rate limits.",
        default=10,
        key="experiments.task_concurrency",
        flag="--task-concurrency",
        panel=LIMITS,
    )
    timeout_seconds: float = option(
        NUMBER,
        "Timeout for each call of a task or an evaluator, in seconds.",
        default=300.0,
        key="experiments.timeout_seconds",
        flag="--timeout",
        metavar="SECONDS",
        panel=LIMITS,
    )
    retries: int | None = option(
        COUNT_FROM_0,
        "Maximum number of retries for each call of a task or an evaluator, after rate limits, timeouts, connection "
        "errors or server errors (default: 0, or 5 after rate limits with --task-concurrency auto).",
        default=None,
        key="experiments.retries",
        flag="--retries",
        panel=LIMITS,
    )
    retry_on: tuple[str, ...] = option(
        TEXTS, "Additional exceptions to retry, as module.ExceptionName.", default=(), key="experiments.retry_on"
    )
    repetitions: int = option(
        COUNT, "Number of times to run each example.", default=1, key="experiments.repetitions", flag="--repetitions"
    )
    split: str | None = option(
        TEXT,
        "Use only the examples in this dataset split (default: all examples).",
        default=None,
        key="experiments.split",
        flag="--split",
    )
    dataset_version: str | None = option(
        TEXT, "ID of the dataset version to use (default: newest).", default=None, flag="--dataset-version"
    )
    shard: ShardOption | None = option(
        SHARD,
        "Run only shard I of N of every experiment, from 1/N to N/N. `auto` (also without a value) reads I and N from "
        "the CI system; `auto/N` reads only I.",
        default=None,
        flag="--shard",
    )
    plan: str | None = option(
        TEXT,
        "Plan file from `evalwire plan`, with the experiments of all shards. EVALWIRE_PLAN contains its path or JSON.",
        default=None,
        flag="--plan",
        metavar="PATH",
    )
    run_key: str | None = option(
        TEXT,
        "Key that all shards of a pipeline run share, if neither a plan nor the CI system identifies the run.",
        default=None,
    )
    max_failures: float | None = option(
        FAILURES,
        "Stop after N failed runs, or after P% of the runs of the job have failed (default: no limit).",
        default=None,
        key="experiments.max_failures",
        flag="--max-failures",
        metavar="N|P%",
        panel=LIMITS,
    )
    grace_seconds: float = option(
        NUMBER,
        "Time for runs in flight to finish when the job is interrupted, in seconds.",
        default=8.0,
        key="experiments.grace_seconds",
    )
    gate: tuple[str, ...] = option(
        GATES,
        "Gate to apply, such as 'doc_search.top_k >= 0.8' (repeatable). It replaces the same gate in evalwire.toml. "
        "In EVALWIRE_GATE, separate gates with semicolons.",
        default=(),
        flag="--gate",
        panel=GATING,
        is_repeatable=True,
    )
    baseline: BaselineChoice | None = option(
        BASELINE,
        "Baseline to compare with: auto, none, branch:NAME, tag:NAME, file:PATH or an experiment ID "
        "(default: auto if a gate has max_drop).",
        default=None,
        key="gates.baseline",
        flag="--baseline",
        panel=GATING,
    )
    base_branch: str | None = option(
        TEXT,
        "Branch to take baselines from (default: the pull request's target, else the default branch, else main).",
        default=None,
        key="gates.base_branch",
    )
    endpoint: str | None = option(
        TEXT,
        "Address of Phoenix, used if no variable such as PHOENIX_ENDPOINT is set.",
        default=None,
        key="phoenix.endpoint",
    )
    public_endpoint: str | None = option(
        TEXT,
        "Address of Phoenix in links, if people use a different address than the job.",
        default=None,
        key="phoenix.public_endpoint",
    )
    fetch_attempts: int = option(
        COUNT,
        "Maximum number of attempts to fetch a dataset or to create an experiment.",
        default=5,
        key="phoenix.fetch_attempts",
        flag="--fetch-attempts",
        panel=LIMITS,
    )
    fetch_timeout_seconds: float = option(
        NUMBER,
        "Time limit for fetching a dataset or creating an experiment, including all retries, in seconds.",
        default=120.0,
        key="phoenix.fetch_timeout_seconds",
        flag="--fetch-timeout",
        metavar="SECONDS",
        panel=LIMITS,
    )
    record_timeout_seconds: float = option(
        NUMBER,
        "Time limit for recording a run or an evaluation, including all retries, in seconds.",
        default=600.0,
        key="phoenix.record_timeout_seconds",
    )
    record_connections: int = option(
        COUNT,
        "Number of parallel connections for recording. Phoenix on SQLite is fastest with about 4.",
        default=4,
        key="phoenix.record_connections",
    )
    trace_evaluators: Literal["auto", "all"] = option(
        choice("auto", "all"),
        "Evaluator calls to trace in Phoenix: all, or with `auto` only calls that fail, or that contain another span, "
        "such as a model call.",
        default="auto",
        key="phoenix.trace_evaluators",
    )
    report_dir: Path = option(
        PATH,
        "Directory for the reports and the journal.",
        default=Path("test-results"),
        key="reports.dir",
        flag="--report-dir",
        panel=OUTPUT,
    )
    github_files: Path | None = option(
        PATH,
        "Directory for the files `outputs` and `annotations`, which the GitHub Action reads. If it is not set, "
        "annotations are printed.",
        default=None,
    )
    secrets: tuple[str, ...] = option(
        TEXTS, "Additional variables whose values are masked.", default=(), key="masking.secrets"
    )
    not_secrets: tuple[str, ...] = option(
        TEXTS, "Variables whose values are not masked.", default=(), key="masking.not_secrets"
    )
    local_dir: Path = option(
        PATH, "Data directory of the Phoenix that --local starts.", default=Path(".evalwire"), key="local.dir"
    )
    keep_local: float = option(
        NUMBER_FROM_0,
        "Minutes without use after which the Phoenix of --local stops, or 0 to stop it at the end of the command. In "
        "CI, in a container and without a terminal, it always stops at the end.",
        default=10.0,
        key="local.keep_minutes",
        flag="--keep-local",
        metavar="MINUTES",
    )
    csv_path: Path | None = option(
        PATH,
        "Testset file: CSV, or .jsonl with a JSON object per line (default: csv_path in evalwire.toml).",
        default=None,
        key="dataset.csv_path",
        flag="--csv",
        panel=TESTSET,
        is_read=True,
    )
    on_exist: Literal["skip", "overwrite", "append"] | None = option(
        choice("skip", "overwrite", "append"),
        "Action for an existing dataset that differs from the testset: keep it (skip), replace its examples, or add "
        "the new examples (default: upload nothing and exit 2).",
        default=None,
        key="dataset.on_exist",
        flag="--on-exist",
        panel=TESTSET,
    )
    sync: bool = option(
        SWITCH,
        "Upload the testset before the run, and run exactly this version. With shards, only `evalwire plan` uploads.",
        default=False,
        key="dataset.sync",
        flag="--upload",
        panel=TESTSET,
    )
    input_keys: tuple[str, ...] = option(
        COLUMNS,
        "Columns that form the input of an example.",
        default=("user_query",),
        key="dataset.input_keys",
        flag="--input-keys",
        panel=TESTSET,
    )
    output_keys: tuple[str, ...] = option(
        TEXTS,
        "Columns that form the expected output.",
        default=("expected_output",),
        key="dataset.output_keys",
        flag="--output-keys",
        panel=TESTSET,
    )
    tag_column: str = option(
        TEXT,
        "Column that lists the datasets of a row.",
        default="tags",
        key="dataset.tag_column",
        flag="--tag-column",
        panel=TESTSET,
    )
    delimiter: str = option(
        DELIMITER,
        "Text that separates the tags in a cell.",
        default="|",
        key="dataset.delimiter",
        flag="--delimiter",
        panel=TESTSET,
    )
    split_columns: tuple[str, ...] | None = option(
        TEXTS,
        "Columns of the expected output with several items in a cell, separated like tags (default: split every cell "
        "that has the delimiter between spaces).",
        default=None,
        key="dataset.split_columns",
    )
    separator: str | None = option(
        SEPARATOR,
        "Character that separates the cells of a CSV file (default: detected from the header).",
        default=None,
        key="dataset.separator",
    )
    id_column: str = option(
        COLUMN_OR_NONE,
        "Column with an ID for each example. Examples keep their identity when the testset is edited.",
        default="id",
        key="dataset.id_column",
    )
    split_column: str = option(
        COLUMN_OR_NONE,
        "Column that lists the dataset splits of a row.",
        default="split",
        key="dataset.split_column",
    )

    thresholds: GateConfig = field(default_factory=GateConfig)
    prices: Mapping[str, Price] = field(default_factory=dict)
    tables: Mapping[str, ExperimentTable] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def source(self, name: str) -> str:
        """Return the source of a setting's value."""
        return self.sources.get(name, "default")

    @property
    def helpers_by_experiment(self) -> dict[str, Collection[str]]:
        """Helper files by experiment; the files for all experiments are under `*`."""
        own = {name: table.helpers for name, table in self.tables.items() if table.helpers is not None}
        return {"*": self.helpers, **own}

    @property
    def dataset_names(self) -> dict[str, str]:
        """Dataset names by experiment, where they differ from the directory's name."""
        return {name: table.dataset for name, table in self.tables.items() if table.dataset is not None}

    @property
    def declared_variants(self) -> dict[str, Mapping[str, Variant]]:
        """The variants by the name of the experiment's directory, each by its own name."""
        return {name: table.variants for name, table in self.tables.items() if table.variants}

    @property
    def input_patterns(self) -> dict[str, tuple[str, ...]]:
        """Patterns of the data files that an experiment reads, by experiment."""
        return {name: table.inputs for name, table in self.tables.items() if table.inputs is not None}

    @property
    def isolated_experiments(self) -> list[str]:
        """The names of the experiments whose async calls run in worker threads."""
        return [name for name, table in self.tables.items() if table.isolate is not None]

    def items(self) -> list[tuple[str, Value]]:
        """Return every setting with its source, in the order of `OPTIONS`."""
        return [(option.name, Value(getattr(self, option.name), self.source(option.name))) for option in OPTIONS]


OPTIONS = options_of(Settings)
EXPERIMENT_OPTIONS = options_of(ExperimentTable)
