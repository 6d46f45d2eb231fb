"""`evalwire run --watch` at a real terminal, with a real Phoenix."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time

import pytest

from conftest import EVALWIRE

pytestmark = pytest.mark.needs_phoenix


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, project, *arguments):
        self.master, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [*EVALWIRE, *arguments],
            cwd=project.directory,
            env=project.environ,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        os.set_blocking(self.master, False)
        self.text = ""

    def wait_for(self, pattern, *, after=0):
        """Return the end of a text that the command shows."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.text += os.read(self.master, 65536).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:  # the command ended
                break
            if found := re.search(pattern, self.text[after:]):
                return after + found.end()
        raise AssertionError(f"no {pattern!r} in: {self.text[after:]}")

    def end(self):
        """Press Ctrl-C, and return the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.wait_for("interrupted")
        code = self.process.wait(60)
        os.close(self.master)
        return code


def test_only_the_experiment_whose_file_changed_runs_again_with_the_selection(phoenix_project, make_dataset):
    first, second = make_dataset(3), make_dataset(2)
    for name in (first, second):
        phoenix_project.experiment(name)
    terminal = Terminal(phoenix_project, "run", first, second, "-k", "question 1", "--watch")
    place = terminal.wait_for(r"PARTIAL \(2 of 5 examples, -k 'question 1'\)")
    place = terminal.wait_for(r"watching \d+ files. A change causes 2 task calls and 2 evaluator calls", after=place)
    phoenix_project.write({f"experiments/{first}/task.py": "async def task(example):\n    return 'other'\n"})
    place = terminal.wait_for(
        rf"changed: experiments/{first}/task.py. Running {first} again: 1 task call ", after=place
    )
    place = terminal.wait_for(r"PARTIAL \(1 of 3 examples, -k 'question 1'\): 1 experiment", after=place)
    terminal.wait_for("Press Ctrl-C to stop", after=place)
    assert terminal.end() == 130
