"""Whatever is changed around a task, a fall from 0.9 to 0.1 is never green unless the first line says why.

Whole runs of the command on a Phoenix in memory: a run on `main`, changes of the project and of the dataset, and a run
that is compared with it, in one job or in two shards with their gate.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st
from memory_phoenix import MemoryPhoenix, call, edited

from evalwire.cli.commands.gate import gate
from evalwire.cli.commands.run import run
from evalwire.model import Example

pytestmark = pytest.mark.hypothesis

EXAMPLES = 20
SMOKE = "smoke"
TASK = """
import os

async def task(example):
    n = int(example.input["q"].split()[-1])
    return "right" if n % 10 < int(os.environ["TENTHS"]) else "wrong"
"""
SAME = """
from ._helper import is_right

def {name}(output):
    return {form}(is_right(output))  # {version}
"""
HELPER = "def is_right(text):\n    return text == 'right'\n"
_keys = itertools.count()


@dataclass(kw_only=True)
class World:
    """A project, its Phoenix, and what CI says.

    Attributes:
        name: of the evaluator that is gated.
        form: what it returns: `bool` or `float`.
    """

    folder: Path
    phoenix: MemoryPhoenix
    name: str = "same"
    form: str = "bool"
    version: int = 0
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, file: str, text: str) -> None:
        path = self.folder / "experiments" / "search" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def write_all(self) -> None:
        self.write("task.py", TASK)
        self.write("_helper.py", HELPER)
        self.write("other.py", "def other(output):\n    return 1.0\n")
        self.write_evaluator()

    def write_evaluator(self) -> None:
        self.write(f"{self.name}.py", SAME.format(name=self.name, form=self.form, version=self.version))
        gates = f"[experiments.search.gates]\n{self.name} = {{ max_drop = 0.05 }}\n"
        (self.folder / "evalwire.toml").write_text(gates)

    def evalwire(self, command: Any, flags: dict[str, Any], **options: Any) -> tuple[int, str]:
        """Run a command in this process; return its exit code and what it wrote."""
        os.environ.update(TENTHS=self.environ["TENTHS"])
        environ = {**self.environ, "GITHUB_ACTIONS": "true"}
        return call(command, self.phoenix, self.folder, environ, flags, **options)

    def judge(self, tenths: int, ci: dict[str, str], flags: dict[str, Any], *, shards: int) -> tuple[int, str]:
        """Run the experiment and come to a verdict, in one job or in shards."""
        self.environ = {"TENTHS": str(tenths), **ci}
        if shards == 1:
            return self.evalwire(run, flags)
        self.environ["EVALWIRE_RUN_KEY"] = f"key {next(_keys)}"
        for number in range(1, shards + 1):
            code, text = self.evalwire(run, {**flags, "shard": f"{number}/{shards}"})
            assert code == 0, text
        return self.evalwire(gate, flags, shards=shards)


def make_world(folder: Path, form: str) -> World:
    examples = [
        Example(id=f"q{n}", node_id=f"N{n}", input={"q": f"question {n}"}, output={"answer": "right"}, metadata={})
        for n in range(EXAMPLES)
    ]
    phoenix = MemoryPhoenix("search", examples, split=SMOKE, of_split=[f"q{n}" for n in range(10)])
    world = World(folder=folder, phoenix=phoenix, form=form)
    world.write_all()
    return world


# --- what can be changed -------------------------------------------------------------------------------


def comment(world: World) -> None:
    world.version += 1
    world.write_evaluator()


def edit_evaluator(world: World) -> None:
    world.write_evaluator()
    path = world.folder / "experiments/search" / f"{world.name}.py"
    path.write_text(path.read_text().replace("(is_right(output))", "(is_right(str(output)))"))


def edit_helper(world: World) -> None:
    world.write("_helper.py", HELPER.replace("text ==", "text.strip() =="))


def add_evaluator(world: World) -> None:
    world.write("third.py", "def third(output):\n    return True\n")


def remove_evaluator(world: World) -> None:
    (world.folder / "experiments/search/other.py").unlink(missing_ok=True)


def rename_evaluator(world: World) -> None:
    (world.folder / "experiments/search" / f"{world.name}.py").unlink()
    world.name = "equal" if world.name == "same" else "same"
    world.write_evaluator()


def change_kind(world: World) -> None:
    world.form = "float" if world.form == "bool" else "bool"
    world.write_evaluator()


def edit_an_example(world: World) -> None:
    first, *rest = world.phoenix.datasets.newest
    world.phoenix.datasets.add([edited(first, "another"), *rest])


def add_examples(world: World) -> None:
    own = world.phoenix.datasets.newest
    new = [
        Example(id=f"n{n}", node_id=f"X{n}", input={"q": f"question {n}"}, output={"answer": "right"}, metadata={})
        for n in range(len(own), len(own) + 3)
    ]
    world.phoenix.datasets.add([*own, *new])


def remove_examples(world: World) -> None:
    world.phoenix.datasets.add(world.phoenix.datasets.newest[:-2])


def edit_task(world: World) -> None:
    world.write("task.py", TASK.replace('"wrong"', '"wrong "'))


CHANGES = [
    comment,
    edit_evaluator,
    edit_helper,
    add_evaluator,
    remove_evaluator,
    rename_evaluator,
    change_kind,
    edit_an_example,
    add_examples,
    remove_examples,
    edit_task,
]
MAIN = {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main"}
PULL = {
    "GITHUB_REF": "refs/pull/7/merge",
    "GITHUB_REF_NAME": "7/merge",
    "GITHUB_HEAD_REF": "x",
    "GITHUB_BASE_REF": "main",
}
FORK = {**PULL, "GITHUB_HEAD_REF": "main"}
PLACES = {"pull request": PULL, "fork's main": FORK, "main": MAIN}

flags = st.fixed_dictionaries(
    {},
    optional={
        "split": st.just(SMOKE),
        "repetitions": st.sampled_from(["2", "3"]),
        "prefix": st.sampled_from(["gpt", "claude"]),
    },
)


@given(
    form=st.sampled_from(["bool", "float"]),
    main_flags=flags,
    main_shards=st.sampled_from([1, 1, 2]),
    changes=st.lists(st.sampled_from(CHANGES), max_size=3),
    place=st.sampled_from(sorted(PLACES)),
    own_flags=flags,
    own_shards=st.sampled_from([1, 1, 2]),
    has_fork=st.booleans(),
)
@settings(max_examples=settings().max_examples // 10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example("bool", {}, 1, [edit_evaluator], "pull request", {}, 2, False)
@example("float", {}, 2, [rename_evaluator, edit_helper], "fork's main", {"repetitions": "2"}, 1, True)
@example("bool", {"repetitions": "3"}, 1, [edit_an_example], "main", {"split": SMOKE}, 1, False)
@example("bool", {"prefix": "gpt"}, 1, [], "pull request", {"prefix": "claude"}, 1, False)
@example("bool", {"split": SMOKE}, 1, [], "pull request", {}, 1, False)
def test_a_fall_is_never_green_unless_the_first_line_says_why(
    form, main_flags, main_shards, changes, place, own_flags, own_shards, has_fork
):
    """And what did not fall is never red."""
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder), form)
        code, text = world.judge(9, MAIN, main_flags, shards=main_shards)
        assert code == 0, text
        if has_fork:  # whose results are as bad, and which nobody may be compared with
            code, text = world.judge(1, FORK, main_flags, shards=1)
            note(text)
        for change in changes:
            change(world)
        code, text = world.judge(9, PLACES[place], own_flags, shards=own_shards)
        note(text)
        assert code == 0, "what did not fall is red"
        code, text = world.judge(1, PLACES[place], own_flags, shards=own_shards)
        note(text)
        first = text.splitlines()[0]
        if code == 0:
            assert "had no baseline" in first or "inconclusive" in first, f"a fall is green: {first}"
            assert is_explained(main_flags, own_flags, changes, place), f"there was a baseline: {first}"
        else:
            assert code == 1
            assert "1 gate failed" in first or "1 of 1 gate failed" in first, first


def is_explained(main_flags: dict[str, str], own_flags: dict[str, str], changes: list[Any], place: str) -> bool:
    """Whether the run on main could not be a baseline: another prefix, too few of the examples, or too few pairs."""
    if place == "main":  # the run that did not fall is the baseline
        return own_flags.get("split") == SMOKE and edit_an_example in changes
    if main_flags.get("prefix") != own_flags.get("prefix"):
        return True
    is_part = main_flags.get("split") == SMOKE and own_flags.get("split") != SMOKE
    is_few = own_flags.get("split") == SMOKE or main_flags.get("split") == SMOKE
    return is_part or (is_few and (edit_an_example in changes or remove_examples in changes))
