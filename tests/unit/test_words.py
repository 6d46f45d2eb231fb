"""The words of the house: docstrings begin with what a function does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

APP = Path(__file__).parents[2] / "app/evalwire"
NOT_A_VERB = re.compile(r"(How|It|Of|The one|Those|What|When|Where|Whether|Who|Whoever)\b")
FOREIGN = re.compile(r"\banew\b", re.IGNORECASE)


def badly_begun(source: str) -> Iterator[str]:
    """The functions whose docstring begins with a word that stands for the thing which it does not name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and NOT_A_VERB.match(ast.get_docstring(node) or ""):
            yield node.name


def test_docstrings_of_functions_begin_with_a_verb_or_a_noun():
    found = [f"{path.relative_to(APP)}: {name}" for path in APP.rglob("*.py") for name in badly_begun(path.read_text())]
    assert not found


def test_a_docstring_that_begins_badly_is_found():
    source = '''
def good():
    """Return the number of runs."""

def bad():
    """How many runs there are."""

class C:
    async def worse(self):
        """What it is."""
'''
    assert sorted(badly_begun(source)) == ["bad", "worse"]


def test_no_file_says_anew():
    assert not [path.name for path in APP.rglob("*.py") if FOREIGN.search(path.read_text())]
