"""The doors for scripts that read evalwire.toml themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalwire.config import get_dataset_config, get_experiments_config, get_phoenix_config, load_config
from evalwire.errors import UsageError
from evalwire.settings import load_settings

EVERY_KEY = """
[dataset]
csv_path = "data/testset.csv"
on_exist = "append"
input_keys = ["question", "context"]
output_keys = ["answer"]
tag_column = "sets"
delimiter = ";"

[experiments]
dir = "evals"
prefix = "nightly"
concurrency = 3

[phoenix]
"""
DATASET = {
    "csv_path": "data/testset.csv",
    "on_exist": "append",
    "input_keys": ["question", "context"],
    "output_keys": ["answer"],
    "tag_column": "sets",
    "delimiter": ";",
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_of_the_working_directory_is_read(folder):
    (folder / "evalwire.toml").write_text(EVERY_KEY)
    config = load_config()
    assert config == {
        "dataset": DATASET,
        "experiments": {"dir": "evals", "prefix": "nightly", "concurrency": 3},
        "phoenix": {},
    }
    assert get_dataset_config(config) == DATASET
    assert get_experiments_config(config) == {"dir": "evals", "prefix": "nightly", "concurrency": 3}
    assert get_phoenix_config(config) == {}


def test_without_a_file_there_is_nothing_to_tell(folder):
    """The defaults are the commands'; a script that knows its own asks with `get`."""
    for config in (load_config(), load_config("elsewhere.toml")):
        assert config == {}
        assert [get(config) for get in (get_dataset_config, get_experiments_config, get_phoenix_config)] == [{}] * 3


def test_a_section_is_as_it_is_written(folder):
    text = (
        '[experiments]\ntimeout_seconds = 5\n[experiments.search]\ndataset = "Search"\n[dataset]\ninput_keys = "q, c"\n'
    )
    (folder / "evalwire.toml").write_text(text)
    config = load_config()
    assert get_experiments_config(config) == {"timeout_seconds": 5, "search": {"dataset": "Search"}}
    assert get_dataset_config(config) == {"input_keys": "q, c"}


@pytest.mark.parametrize("as_text", [True, False])
def test_a_named_file_is_read_instead(folder, as_text):
    (folder / "evalwire.toml").write_text('[experiments]\nprefix = "here"\n')
    other = folder / "ci/evalwire.toml"
    other.parent.mkdir()
    other.write_text('[dataset]\ncsv_path = "set.csv"\n')
    config = load_config(str(other) if as_text else other)
    assert config == {"dataset": {"csv_path": "set.csv"}}
    assert get_dataset_config(config)["csv_path"] == "set.csv", "as it is written"


def test_a_folder_is_no_file(folder):
    with pytest.raises(UsageError, match="does not exist"):
        load_config(".")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[experiments]\nconcurency = 2\n", "Perhaps you meant 'concurrency'"),
        ("[experimens]\n", "Perhaps you meant 'experiments'"),
        ("[dataset]\ncsvpath = 'x'\n", "Perhaps you meant 'csv_path'"),
        ("[dataset]\non_exist = 'replace'\n", "expected one of: skip, overwrite, append"),
        ("[gates.a.b]\nmni = 1\n", "mni"),
        ("[experiments\n", "is not valid TOML"),
    ],
)
def test_what_the_commands_do_not_take_is_an_error(folder, text, said):
    (folder / "evalwire.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_config()
    assert said in str(caught.value)
    assert "evalwire.toml" in str(caught.value)


def test_the_settings_take_every_key_of_the_old_file(folder):
    (folder / "evalwire.toml").write_text(EVERY_KEY)
    settings = load_settings({}, {})
    assert (settings.csv_path, settings.on_exist, settings.delimiter) == (Path("data/testset.csv"), "append", ";")
    assert (settings.input_keys, settings.output_keys) == (("question", "context"), ("answer",))
    assert (settings.experiments, settings.prefix, settings.concurrency) == (Path("evals"), "nightly", 3)


def test_a_dict_of_the_getters_is_the_reader_s_own(folder):
    (folder / "evalwire.toml").write_text(EVERY_KEY)
    config = load_config()
    get_dataset_config(config)["input_keys"].append("other")
    assert get_dataset_config(config)["input_keys"] == ["question", "context"]
