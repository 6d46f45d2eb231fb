"""The JSON Schema of evalwire.toml is that of the table of settings, and knows what the program reads."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from evalwire.errors import UsageError
from evalwire.settings import OPTIONS, load_settings, schema

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "evalwire.schema.json").read_text())
VALIDATOR = Draft7Validator(SCHEMA)

FULL = """
[experiments]
task_concurrency = "auto"
max_failures = "5%"
helpers = ["a.py"]
[experiments.search]
dataset = "Search"
isolate = "thread"
[experiments.search.gates]
max_cost_usd = 1
mode = "strict"
top_k = { min = 0.5, max_drop = "5%", direction = "minimize" }
[gates]
max_error_rate = "5%"
baseline = "none"
exact_match = { min_pass_rate = 0.9 }
[dataset]
on_exist = "append"
input_keys = "q,context"
[prices."m"]
input = 1
output = 2.5
"""


def test_the_committed_schema_is_that_of_the_settings():
    assert schema.config_schema() == SCHEMA, "run `make schema`"


def test_the_schema_is_one_and_has_every_key():
    Draft7Validator.check_schema(SCHEMA)
    keys = {
        f"{section}.{key}" for section, table in SCHEMA["properties"].items() for key in table.get("properties", ())
    }
    assert {option.key for option in OPTIONS if option.key} <= keys


@pytest.mark.parametrize(
    "file", ["examples/evalwire.toml", "app/evalwire/cli/templates/evalwire.toml", "tests/image/projects/passing.toml"]
)
def test_files_of_the_project_are_valid(file):
    VALIDATOR.validate(tomllib.loads((ROOT / file).read_text()))


def test_what_the_program_reads_is_valid(tmp_path):
    (tmp_path / "evalwire.toml").write_text(FULL)
    load_settings({}, {}, directory=tmp_path)
    VALIDATOR.validate(tomllib.loads(FULL))


@pytest.mark.parametrize(
    "text",
    [
        "[experiments]\nconcurency = 1\n",
        "[experiments]\nconcurrency = 0\n",
        "[experiments.a]\ndatset = 'x'\n",
        "[experiments.a.gates]\ntop_k = { mni = 1 }\n",
        "[experiments.split]\ndataset = 'x'\n",
        "[gates.a]\nmax_cost_usd = 1\n",
        "[gates]\nmode = 'lax'\n",
        "[dataset]\non_exist = 'replace'\n",
        "[prices.m]\ninput = 1\n",
        "[thresholds]\n",
    ],
)
def test_what_the_program_refuses_is_not_valid(tmp_path, text):
    (tmp_path / "evalwire.toml").write_text(text)
    with pytest.raises(UsageError):
        load_settings({}, {}, directory=tmp_path)
    assert not VALIDATOR.is_valid(tomllib.loads(text))


def test_a_new_project_names_the_schema():
    first = (ROOT / "app/evalwire/cli/templates/evalwire.toml").read_text().splitlines()[0]
    assert first == "#:schema ./evalwire.schema.json"
