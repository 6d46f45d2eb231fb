"""The variants of an experiment in evalwire.toml: what they may set, and what is refused."""

from __future__ import annotations

import re

import pytest

from evalwire.errors import UsageError
from evalwire.model import Variant
from evalwire.settings import load_settings

TABLE = "[experiments.answer.variants.fast]\n"


def from_toml(folder, text):
    (folder / "evalwire.toml").write_text(text)
    return load_settings({}, {}, directory=folder)


def test_a_variant_has_a_name_and_variables(tmp_path):
    text = TABLE + 'env = { MODEL = "small", TEMPERATURE = "0" }\n[experiments.answer]\ndataset = "a"\n'
    settings = from_toml(tmp_path, text)
    env = {"MODEL": "small", "TEMPERATURE": "0"}
    fast = Variant(name="fast", directory="answer", env=env)
    assert settings.declared_variants == {"answer": {"fast": fast}}
    assert fast.experiment == "answer@fast"
    assert settings.dataset_names == {"answer": "a"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TABLE, "[experiments.answer.variants.fast]: expected the variables of the variant"),
        (TABLE + "env = {}", "expected variables, such as"),
        (TABLE + 'env = "MODEL=a"', "expected variables, such as"),
        (TABLE + 'model = "a"', "unknown key in [experiments.answer.variants.fast]: 'model'"),
        (TABLE + "env = { N = 3 }", "N = 3: expected a string"),
        (TABLE + 'env = { A = "\\u0000" }', "expected a string"),
        (TABLE + 'env = { "A B" = "x" }', "'A B' is not the name of an environment variable"),
        (
            TABLE + 'env = { OPENAI_API_KEY = "sk-0123456789abcdef" }',
            "cannot set OPENAI_API_KEY, because it contains a",
        ),
        (TABLE + 'env = { DB = "postgres://me:hunter2hunter2@db/x" }', "cannot set DB, because it contains a secret"),
        (TABLE + 'env = { PHOENIX_ENDPOINT = "http://x" }', "cannot set PHOENIX_ENDPOINT, because all variants"),
        (TABLE + 'env = { EVALWIRE_RETRIES = "1" }', "cannot set EVALWIRE_RETRIES, because all variants"),
        (TABLE + 'env = { PYTHONHASHSEED = "1" }', "cannot set PYTHONHASHSEED, because Python reads it"),
        ('[experiments.answer.variants.default]\nenv = { A = "b" }', "'default' is the experiment without"),
        ('[experiments.answer.variants."a@b"]\nenv = { A = "b" }', "'a@b' cannot name a variant"),
        ("[experiments.answer]\nvariants = 3", "[experiments.answer] variants = 3: expected tables"),
    ],
)
def test_what_a_variant_may_not_be(tmp_path, text, reason):
    with pytest.raises(UsageError, match=re.escape(reason)):
        from_toml(tmp_path, text)


def test_a_variable_that_is_listed_as_no_secret_may_be_set(tmp_path):
    text = '[masking]\nnot_secrets = ["DEMO_KEY"]\n' + TABLE + 'env = { DEMO_KEY = "0123456789abcdef" }\n'
    assert from_toml(tmp_path, text).declared_variants["answer"]["fast"].env == {"DEMO_KEY": "0123456789abcdef"}
    secret = '[masking]\nsecrets = ["CITY"]\n' + TABLE + 'env = { CITY = "Paris" }\n'
    with pytest.raises(UsageError, match="cannot set CITY"):
        from_toml(tmp_path, secret)
