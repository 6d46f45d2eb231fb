"""`evalwire new NAME`: a new experiment in an existing project."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.cli.project_files import write_files
from evalwire.cli.project_templates import Template, experiment_files, packages, read_template
from evalwire.datasets import inspect_testset
from evalwire.errors import TestsetError, UsageError
from evalwire.jobs import testset_columns
from evalwire.model import count
from evalwire.settings import CONFIG_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.cli.invocation import Invocation
    from evalwire.settings import Settings

_COLUMN = re.compile(r"""\bkey="([^"]+)\"""")
_NAME = re.compile(r"[^\W\d_][\w-]{0,99}")


def new(invocation: Invocation, *, name: str, template: Template = "basic") -> int:
    """Write an experiment, and show which rows of the testset it needs. The testset is not changed.

    Args:
        invocation: settings and streams.
        name: the name of the experiment and of its directory.
        template: the project whose task and evaluators to write.

    Raises:
        UsageError: the name is invalid or taken, there is no project, or the directory cannot be written.
    """
    settings = invocation.settings
    root = settings.experiments
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of an experiment. "
            "Start with a letter, and use at most 100 letters, digits, hyphens and underscores."
        )
    is_set = settings.source("experiments") not in ("default", "flag")
    if not (is_set or root.is_dir() or Path(CONFIG_FILE).is_file()):
        raise UsageError(
            f"no project found here: neither {CONFIG_FILE} nor {root}/ exists.\n"
            "Change to the directory of your project, or create a project: evalwire init"
        )
    if os.path.lexists(root / name):
        raise UsageError(f"nothing was written, because {root / name} exists.\nChoose another name: evalwire new NAME.")
    texts = {file: _adapted(read_template(source), settings) for file, source in experiment_files(template).items()}
    write_files(root / name, texts)
    for file in texts:
        invocation.console.show(f"wrote {root / name / file}\n")
    _show_columns(invocation, texts)
    _show_next_steps(invocation, name, template)
    return 0


def _adapted(text: str, settings: Settings) -> str:
    """Return a template with the columns of the testset."""
    text = text.replace('input["user_query"]', f"input[{json.dumps(settings.input_keys[0], ensure_ascii=False)}]")
    if not settings.output_keys or "expected_output" in settings.output_keys:
        return text
    key = f"key={json.dumps(settings.output_keys[0], ensure_ascii=False)}"
    return text.replace("_evaluator()", f"_evaluator({key})").replace("    result_key=", f"    {key},\n    result_key=")


def _show_columns(invocation: Invocation, texts: Mapping[str, str]) -> None:
    """Show which columns evaluators read in addition to the first column of the expected output."""
    keys = invocation.settings.output_keys or ("expected_output",)
    for file, text in texts.items():
        for column in dict.fromkeys(_COLUMN.findall(text)):
            if column in (keys[0], "expected_output"):
                continue
            advice = "" if column in keys else f"; add it to output_keys under [dataset] in {CONFIG_FILE}"
            invocation.console.show(f"{Path(file).stem} reads the column {column} of the testset{advice}\n")


def _show_next_steps(invocation: Invocation, name: str, template: Template) -> None:
    settings, show = invocation.settings, invocation.console.show
    if needed := packages(template):
        show(f"the experiment imports these packages: {', '.join(needed)}\n")
    table = settings.tables.get(name)
    tag = (table and table.dataset) or name
    path = settings.csv_path
    rows = _rows(settings, tag)
    if path is None:
        show(
            f"the dataset {tag} must be in Phoenix, because {CONFIG_FILE} names no testset (csv_path under [dataset])\n"
        )
    elif rows:
        show(f"{path} has {count(rows, 'row')} for it: {settings.tag_column} = {tag}\n")
    else:
        show(f"next, add rows to {path} with {tag} in the column {settings.tag_column}, and run:\n")
    if rows or path is None:
        show("next:\n")
    show(f"  evalwire run --local {shlex.quote(name)}\n")


def _rows(settings: Settings, tag: str) -> int:
    """Return the number of rows of a dataset in the testset; 0 if the testset cannot be read."""
    if settings.csv_path is None or not settings.csv_path.is_file():
        return 0
    try:
        return inspect_testset(settings.csv_path, testset_columns(settings)).sizes.get(tag, 0)
    except TestsetError:
        return 0
