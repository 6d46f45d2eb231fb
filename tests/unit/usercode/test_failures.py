"""What became of an exception: the user's own line, whatever the exception is like."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalwire.usercode.failures import failure_of


def caught(function: Callable[[], Any]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("it did not raise")


def code(path: Path, text: str) -> dict[str, Any]:
    """Run a file's text as the import system would; returns what it defines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names


def test_a_failure_points_at_the_users_last_line(tmp_path):
    """An error inside a library is shown at the line of the user's code that led there."""
    task = code(tmp_path / "experiments/a/task.py", "import json\n\ndef task(x):\n    return json.loads(x)\n")["task"]
    failure = failure_of(caught(lambda: task("{")), stage="task", root=tmp_path)
    assert failure.where == f"{tmp_path}/experiments/a/task.py:4"
    assert (failure.stage, failure.type) == ("task", "JSONDecodeError")
    assert failure.message.startswith("Expecting property name")


@pytest.mark.parametrize("packages", [".venv/lib/python3.11/site-packages", "venv/lib/python3.11/site-packages"])
def test_a_library_within_the_project_is_not_the_users_code(tmp_path, packages):
    """A virtual environment in the project's folder is a library, so the user's own line is named."""
    call = code(tmp_path / packages / "lib.py", "def call():\n    raise ValueError('refused')\n")["call"]
    task = code(tmp_path / "experiments/a/task.py", "\ndef task(call):\n    return call()\n")["task"]
    failure = failure_of(caught(lambda: task(call)), stage="task", root=tmp_path)
    assert failure.where == f"{tmp_path}/experiments/a/task.py:3"


def test_without_a_line_of_the_project_the_last_one_outside_evalwire_is_named(tmp_path):
    """An error with no frame in the project still has a place."""
    other = code(tmp_path / "other/lib.py", "def call():\n    raise ValueError\n")["call"]
    failure = failure_of(caught(other), stage="task", root=tmp_path / "project")
    assert failure.where == f"{tmp_path}/other/lib.py:2"


def test_an_error_that_was_never_raised_has_no_place():
    """Without a traceback there is no line to name."""
    failure = failure_of(ValueError("made"), stage="record")
    assert (failure.where, str(failure)) == (None, "ValueError: made")


def test_a_syntax_error_points_at_its_line(tmp_path):
    """A file that does not parse is named with the line that Python names."""
    path = tmp_path / "task.py"
    error = caught(lambda: compile("x = 1\ndef (\n", str(path), "exec"))
    assert failure_of(error, stage="import", root=tmp_path).where == f"{path}:2"


def test_a_syntax_error_of_parsed_text_points_at_the_users_line(tmp_path):
    """When the user's code parses a model's answer, the failure is at the user's line, not in the answer."""
    task = code(tmp_path / "task.py", "import ast\n\ndef task(x):\n    return ast.literal_eval(x)\n")["task"]
    assert task("[1]") == ast.literal_eval("[1]")
    failure = failure_of(caught(lambda: task("[1,,")), stage="task", root=tmp_path)
    assert failure.where == f"{tmp_path}/task.py:4"


def test_a_syntax_error_outside_the_project_points_at_the_import(tmp_path):
    """A library that does not parse is named by the user's line that imports it."""
    task = code(tmp_path / "p/task.py", "\ndef task(parse):\n    return parse('def (', '/lib/x.py', 'exec')\n")["task"]
    failure = failure_of(caught(lambda: task(compile)), stage="import", root=tmp_path / "p")
    assert failure.where == f"{tmp_path}/p/task.py:3"


def test_a_broken_message_does_not_break_the_failure():
    """An exception whose __str__ raises is still a failure with a type."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    failure = failure_of(Broken(), stage="evaluator")
    assert failure.type == "Broken"
    assert "RuntimeError" in failure.message


def test_the_traceback_is_without_evalwires_frames(tmp_path):
    """The traceback shows the user's frames and the exception, in order, and nothing of evalwire."""
    from evalwire.model import to_json

    task = code(tmp_path / "task.py", "def task(convert):\n    return convert(object())\n")["task"]
    failure = failure_of(caught(lambda: task(to_json)), stage="task", root=tmp_path)
    assert "evalwire/calling.py" not in failure.traceback
    assert failure.where == f"{tmp_path}/task.py:2"
    assert failure.traceback.splitlines()[-1].startswith("TypeError: ")


def test_the_cause_behind_an_error_is_told(tmp_path):
    """`raise X from Y` names both, and the traceback has both."""
    task = code(
        tmp_path / "task.py",
        "def task():\n    try:\n        {}['real']\n    except KeyError as e:\n        raise RuntimeError('wrapped') from e\n",
    )["task"]
    failure = failure_of(caught(task), stage="task", root=tmp_path)
    assert (failure.type, failure.message, failure.cause) == ("RuntimeError", "wrapped", "KeyError: 'real'")
    assert "KeyError: 'real'" in failure.traceback
    assert str(failure).startswith("RuntimeError: wrapped (from KeyError: 'real')")


def test_a_group_of_one_is_that_one():
    """What a TaskGroup raised of a single task is told as that task's error."""
    failure = failure_of(ExceptionGroup("unhandled errors", [KeyError("real")]), stage="task")
    assert (failure.type, failure.message) == ("KeyError", "'real'")


def test_a_group_of_several_names_them():
    """Each error of a group is in its cause."""
    failure = failure_of(ExceptionGroup("both", [KeyError("a"), ValueError("b")]), stage="task")
    assert failure.cause == "KeyError: 'a'; ValueError: b"
