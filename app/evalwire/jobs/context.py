"""What every command is given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from evalwire.datasets import Columns
from evalwire.errors import UsageError
from evalwire.experiments import Discovered, find_experiments, load_experiments

if TYPE_CHECKING:
    from pathlib import Path

    from evalwire.phoenix import Phoenix
    from evalwire.settings import Settings


Connect = Callable[[str | None], "Phoenix"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every command is given.

    Attributes:
        settings: as found by the precedence of `evalwire.settings`.
        environ: the environment, the `.env` file merged into it.
        from_env_file: the names that came from that file.
        out: for results. `err` is for progress and logs; both mask secrets.
        connect: makes the Phoenix to talk to; given an address, that one without credentials.
        mask: takes secrets out of a text.
        learn_secrets: makes `mask` know the secrets that user code has loaded into the environment since.
        command: writes a line that a CI system takes for a command; all else that could be one is made harmless.
        color: whether `out` shows colours.
        width: columns of `out`.
    """

    settings: Settings
    environ: Mapping[str, str]
    out: TextIO
    err: TextIO
    connect: Connect
    from_env_file: Collection[str] = ()
    mask: Callable[[str], str] = str
    learn_secrets: Callable[[], None] = lambda: None
    command: Callable[[str], object] = lambda _: None
    color: bool = False
    width: int = 100
    quiet: bool = False
    verbose: bool = False

    def say(self, line: str) -> None:
        """A line of progress."""
        if not self.quiet:
            self.err.write(f"{line}\n")
            self.err.flush()

    def discover(self, names: Sequence[str] | None = None) -> Discovered:
        """Import the experiments of these names, else the selected ones; call it within `discovery.importable`.

        Raises:
            UsageError: the folder, or an experiment of evalwire.toml, was named and does not exist.
            NothingToRunError: `--name` names no experiment.
        """
        settings = self.settings
        root: Path = settings.experiments
        if not root.is_dir() and settings.source("experiments") != "default":
            raise UsageError(f"the experiments folder {root} does not exist (from: {settings.source('experiments')}).")
        known = [path.name for path in find_experiments(root)[0]]
        for name in settings.configured_experiments:
            if name not in known:
                raise UsageError(f"evalwire.toml: [experiments.{name}], but {root}/ has no experiment {name!r}.")
        return load_experiments(
            root,
            names=names or settings.names or None,
            helpers=settings.helpers_by_experiment,
            dataset_names=settings.dataset_names,
            isolated=settings.isolated_experiments,
        )

    def testset_path(self) -> Path:
        """The testset that was named.

        Raises:
            UsageError: none was.
        """
        path: Path | None = self.settings.csv_path
        if path is None:
            raise UsageError("no testset is named: use --csv FILE, or csv_path under [dataset] in evalwire.toml.")
        return path

    def columns(self) -> Columns:
        """What the testset's columns mean."""
        settings = self.settings
        return Columns(
            inputs=settings.input_keys,
            outputs=settings.output_keys,
            tags=settings.tag_column,
            delimiter=settings.delimiter,
            lists=settings.split_columns,
            id=settings.id_column,
            split=settings.split_column,
        )
