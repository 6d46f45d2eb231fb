"""The house: rooms have a face, nobody imports another room's insides, faces are light, nothing grows too long."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app/evalwire"
ROOMS = sorted(folder.name for folder in APP.iterdir() if (folder / "__init__.py").exists())
MODULES = [path for path in sorted(APP.rglob("*.py")) if "templates" not in path.parts]
HEAVY = (
    "httpx",
    "jinja2",
    "jsonschema",
    "langgraph",
    "msgspec",
    "opentelemetry",
    "phoenix.client",
    "psutil",
    "rich",
    "tenacity",
)


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    """Each module of evalwire's that a file imports from, with the name."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("evalwire."):
            yield from ((str(node.module), alias.name) for alias in node.names)


def insides_in(path: Path, room: str) -> list[str]:
    return [
        f"{path.relative_to(APP)}: {module}"
        for module, _ in imports_of(path)
        if len(parts := module.split(".")) > 2 and parts[1] in ROOMS and parts[1] != room
    ]


def test_nobody_imports_another_rooms_insides():
    found = [inside for path in MODULES for inside in insides_in(path, path.relative_to(APP).parts[0])]
    assert not found


def test_an_import_of_insides_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "APP", tmp_path)
    path = tmp_path / "stray.py"
    path.write_text("from evalwire.gates.apply import apply_gates\nfrom evalwire.gates import Gate\n")
    assert insides_in(path, "jobs") == ["stray.py: evalwire.gates.apply"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_a_face(room):
    """One sentence, and the names that others may use."""
    face = ast.parse((APP / room / "__init__.py").read_text())
    doc = ast.get_docstring(face) or ""
    assert re.fullmatch(r"[A-Z][^\n]+\.", doc), doc
    assert any(isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__" for node in face.body)


@pytest.mark.parametrize("room", ROOMS)
def test_a_face_has_no_name_of_a_module_of_its_room(room):
    """Importing the module would put it in the place of what the face gives under that name."""
    modules = {path.stem for path in (APP / room).iterdir() if path.suffix == ".py" or path.is_dir()}
    face = importlib.import_module(f"evalwire.{room}")
    assert all(isinstance(getattr(face, name), types.ModuleType) for name in modules & set(face.__all__))


def test_faces_are_light():
    """Importing every room brings none of the heavy libraries along."""
    script = f"import {', '.join(f'evalwire.{room}' for room in ROOMS)}, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_module_is_over_400_lines():
    assert not {path.name: lines for path in MODULES if (lines := path.read_text().count("\n")) > 400}


def test_no_function_is_over_60_lines():
    """Without its docstring."""
    long = {}
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if lines > 60:
                    long[f"{path.name}:{node.name}"] = lines
    assert not long


def test_exceptions_from_the_rules_are_rare():
    """At most three in a thousand lines, each with its reason."""
    lines = [line for path in MODULES for line in path.read_text().splitlines()]
    marks = [line for line in lines if re.search(r"# noqa|# type: ignore", line)]
    assert len(marks) / len(lines) < 3 / 1000
    assert not [line for line in lines if "raise AssertionError" in line]
