"""mypy knows every setting by its name and type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SNIPPET = """
from evalwire.settings import Settings


def use(settings: Settings) -> None:
    right: int = settings.concurrency
    slip: int = settings.concurency
    confused: str = settings.concurrency
"""


def test_mypy_refuses_a_misspelt_setting_and_a_wrong_type(tmp_path):
    """The type checker sees the table's fields, so that no slip waits for the job that reads the setting."""
    (tmp_path / "snippet.py").write_text(SNIPPET)
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", tmp_path / "snippet.py"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    errors = [line.partition("snippet.py:")[2] for line in checked.stdout.splitlines() if "error:" in line]
    assert [error.partition(":")[0] for error in errors] == ["7", "8"], checked.stdout
    assert '"Settings" has no attribute "concurency"' in errors[0]
    assert 'expression has type "int", variable has type "str"' in errors[1]
