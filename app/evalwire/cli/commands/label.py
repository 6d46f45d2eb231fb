"""`evalwire label`: label the outputs of a recorded experiment, on a page of this machine or in a spreadsheet."""

from __future__ import annotations

import getpass
import os
import sys
import webbrowser
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import EvalwireError, Interrupted, UsageError
from evalwire.jobs import (
    LabelBook,
    LabelingRequest,
    Listing,
    RecordedNames,
    Signals,
    find_labeled_experiment,
    is_in_container,
    labels_path,
)
from evalwire.judges import read_labels
from evalwire.labeling import Labeling, LabelingServer, Sender, sheet_csv
from evalwire.model import count
from evalwire.settings import is_ci

if TYPE_CHECKING:
    from pathlib import Path

    from evalwire.cli.invocation import Invocation
    from evalwire.labeling import Answer, Output
    from evalwire.model import ExperimentResult, Label
    from evalwire.phoenix import Phoenix

_LONGEST_NAME = 100
_LONGEST_CELL = 32_000  # characters of a value in a spreadsheet


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFlags:
    """The flags of the command.

    Attributes:
        evaluation: the name of the score.
        experiment: the name of the experiment; None for the experiment of `filled`, or `last`.
        labels: the file of labels; None for the default.
        annotator: the name of the person; None for the user name.
        annotation: the name of the annotations; None for the name of the score.
        limit: the maximum number of outputs; None for all.
        port: the port of the page; None for any free port.
        has_browser: whether to open the page in a browser.
        sheet: the spreadsheet to write; None for the page.
        filled: the spreadsheet to read; None for the page.
    """

    evaluation: str
    experiment: str | None = None
    labels: Path | None = None
    annotator: str | None = None
    annotation: str | None = None
    limit: int | None = None
    port: int | None = None
    has_browser: bool = True
    sheet: Path | None = None
    filled: Path | None = None


def label(invocation: Invocation, flags: LabelFlags) -> int:
    """Let a person label outputs, and save the labels.

    Returns:
        0 if Phoenix has all labels; 1 if some are only in the file.

    Raises:
        UsageError: no person can use the page, the experiment has no such score, or a file is invalid.
        EvalwireError: Phoenix cannot be reached.
    """
    if flags.sheet is None and flags.filled is None:
        _check_person(invocation, flags)
    filled = _read_filled(flags.filled) if flags.filled else []
    phoenix = invocation.connect(None)
    experiment = _experiment(invocation, phoenix, flags, filled)
    request = LabelingRequest(
        evaluation=flags.evaluation,
        annotation=flags.annotation or flags.evaluation,
        annotator=_annotator(flags.annotator),
        path=flags.labels or labels_path(invocation.settings, flags.evaluation),
        limit=flags.limit,
    )
    if request.annotation == "note":
        raise UsageError("Phoenix reserves the name 'note'. Choose another name with --annotation.")
    book = LabelBook(phoenix, experiment, request)
    if flags.filled:
        return _take(invocation, book, filled)
    stale = book.load()
    if flags.sheet:
        return _write_sheet(invocation, book, flags.sheet)
    return _serve(invocation, book, flags, stale)


def _check_person(invocation: Invocation, flags: LabelFlags) -> None:
    """Check that a person can open the page.

    Raises:
        UsageError: the command runs in CI, in a container, or without a terminal.
    """
    sheet = f"Or use a spreadsheet: evalwire label {flags.evaluation} --csv sheet.csv"
    if is_ci(invocation.environ):
        raise UsageError(f"label needs a person at the page, so it cannot run in CI. Run it on your machine.\n{sheet}")
    if not flags.has_browser:
        return
    if is_in_container(invocation.environ):
        raise UsageError(
            "the page of label listens on the loopback interface, which your browser cannot reach in a container. If "
            f"the container has the host's network, add --no-browser.\n{sheet}"
        )
    if not invocation.console.err.isatty():
        raise UsageError(
            "label needs a terminal, where you can see the address of the page and end the command. To print the "
            f"address without a terminal, add --no-browser.\n{sheet}"
        )


def _annotator(given: str | None) -> str:
    try:
        name = (getpass.getuser() if given is None else given).strip()
    except (OSError, KeyError, ImportError):  # a user without a name, as in a container
        name = ""
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"label needs the name of the annotator, with at most {_LONGEST_NAME} characters. Set --annotator."
        )
    return name


def _read_filled(path: Path) -> list[Label]:
    found = read_labels(path)
    if not found:
        raise UsageError(f"{path} has no labels. Write pass or fail in the column label.")
    return found


def _experiment(invocation: Invocation, phoenix: Phoenix, flags: LabelFlags, filled: list[Label]) -> ExperimentResult:
    """Return the experiment to label: of the flag, of the spreadsheet, or the last."""
    name = flags.experiment
    if name is None:
        named = sorted({label.experiment_id for label in filled if label.experiment_id})
        if len(named) > 1:
            raise UsageError(
                f"{flags.filled} has labels of {count(len(named), 'experiment')}: {', '.join(named)}. Select the "
                "labels of an experiment in a file of their own."
            )
        name = named[0] if named else "last"
    names = RecordedNames(invocation.settings, Listing(phoenix), is_ci=is_ci(invocation.environ))
    return find_labeled_experiment(names, phoenix, name, flags.evaluation)


def _take(invocation: Invocation, book: LabelBook, filled: list[Label]) -> int:
    """Take the labels of a spreadsheet."""
    labels = book.add(filled)
    try:
        book.write(labels)
    except EvalwireError as error:
        invocation.console.warn(
            f"{count(len(labels), 'label')} saved in {book.request.path}, but not in Phoenix: {error}\n"
            "Run the same command again to send them."
        )
        return 1
    _show_end(invocation, book, f"{count(len(labels), 'label')} saved in {book.request.path}")
    return 0


def _write_sheet(invocation: Invocation, book: LabelBook, path: Path) -> int:
    outputs = book.outputs(invocation.console.mask, longest=_LONGEST_CELL)
    rows = sheet_csv(
        outputs, book.answers, experiment_id=book.experiment.experiment_id, annotator=book.request.annotator
    )
    if path.exists():
        raise UsageError(f"{path} exists, and may have labels. Choose another file, or remove it.")
    try:
        reports.write(path, rows)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
    invocation.console.show(
        f"{path}: {count(len(outputs), 'output')} in random order{_left_out(book)}\n"
        "Write pass or fail in the column label. Then run: "
        f"evalwire label {book.request.evaluation} --from {path}\n"
    )
    return 0


def _serve(invocation: Invocation, book: LabelBook, flags: LabelFlags, stale: list[str]) -> int:
    """Serve the page until the person ends it, or until SIGINT or SIGTERM."""
    console, request = invocation.console, book.request
    sender = Sender(book.send)
    outputs = book.outputs(console.mask)
    title = {
        "head": f"Label {request.evaluation}: {book.experiment.name}",
        "about": f"As {request.annotator}, without seeing the scores. Each answer is saved in {request.path}.",
    }

    def save(output: Output, answer: Answer) -> None:
        book.save(output, answer)
        sender.put([output.run_id])

    labeling = Labeling(title, outputs, book.answers, save=save, pending=lambda: sender.late)
    try:
        server = LabelingServer(labeling, port=flags.port or 0)
    except OSError as error:
        raise UsageError(
            f"the page cannot listen on port {flags.port or 0} of 127.0.0.1: {error.strerror or error}. Choose another "
            "port with --port."
        ) from error
    sender.put(stale)
    try:
        with Signals():
            sender.start()
            server.start()
            console.show(
                f"{book.experiment.name} ({book.experiment.experiment_id}): {count(len(outputs), 'output')}, "
                f"{labeling.labeled} labeled by {request.annotator}{_left_out(book)}\n"
                f"Label them at {server.url} (end with Done on the page, or with Ctrl-C)\n"
            )
            console.out.flush()
            if flags.has_browser and _has_display():
                webbrowser.open(server.url_for_browser())
            labeling.is_done.wait()
    except Interrupted:
        pass
    finally:
        server.close()
    unsent = sender.close()
    saved = f"{count(labeling.labeled, 'label')} of {request.annotator} in {request.path}"
    if unsent:
        console.warn(
            f"{saved}; {count(unsent, 'change')} not in Phoenix: {sender.error}\n"
            "Run the same command again to send them."
        )
        return 1
    _show_end(invocation, book, saved)
    return 0


def _show_end(invocation: Invocation, book: LabelBook, saved: str) -> None:
    without = len(book.without_trace)
    missing = f" ({count(without, 'run')} without a trace: only in the file)" if without else ""
    invocation.console.show(
        f"{saved}, and in Phoenix as annotations {book.request.annotation!r}{missing}\n"
        f"To compare the evaluator with the labels, run: evalwire judge {book.request.evaluation}\n"
    )


def _left_out(book: LabelBook) -> str:
    if not book.left_out:
        return ""
    return f" ({count(book.left_out, 'run')} left out: failed, or without this score)"


def _has_display() -> bool:
    """Check whether a browser has a window; otherwise, `webbrowser` may start a text browser in this terminal."""
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
