"""A plan is read as it was written, and refused when it is none."""

from __future__ import annotations

import json

import pytest

from evalwire.errors import UsageError
from evalwire.recording import PastDataset
from evalwire.shards.plan_file import PlannedExperiment, ShardPlan

PLAN = ShardPlan(
    shards=3,
    prefix="nightly",
    repetitions=2,
    split="dev",
    endpoint="http://phoenix:6006",
    experiments=(
        PlannedExperiment(
            experiment="es_search",
            dataset=PastDataset(id="D", name="es_search", version_id="V", examples=9, split="dev"),
            recorded_name="nightly_es_search_2026",
            metadata={"evalwire": {"shards": 3}, "branch": "größer"},
            id="E",
            url="http://phoenix:6006/datasets/D",
            project_name="P",
        ),
    ),
)


def test_a_plan_comes_back_from_a_file_and_from_its_text(tmp_path):
    """Nothing of it is lost either way, and it is one line, as a job's output has to be."""
    text = PLAN.dump()
    assert text.count("\n") == 1
    (tmp_path / "plan.json").write_text(text)
    assert ShardPlan.load(str(tmp_path / "plan.json")) == ShardPlan.load(text) == PLAN
    past = PLAN.past.past["es_search"]
    assert (past.id, past.repetitions, past.dataset) == ("E", 2, PLAN.experiments[0].dataset)
    assert json.loads(text)["matrix"] == {"shard": ["1/3", "2/3", "3/3"]}


def test_a_plan_that_is_not_there_is_named(tmp_path):
    """The path, and why."""
    with pytest.raises(UsageError, match=r"the plan .*none\.json cannot be read: No such file"):
        ShardPlan.load(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 7}, r"another version of evalwire \(format 7; this version reads 1\)"),
        ({"shards": 0}, r"damaged: Expected `int` >= 1 - at `\$\.shards`"),
        ({"shards": True}, "Expected `int`, got `bool`"),
        ({"shards": "3"}, "Expected `int`, got `str`"),
        ({"prefix": ""}, "Expected `str` of length >= 1"),
        ({"repetitions": None}, "Expected `int`, got `null`"),
        ({"experiments": None}, "Expected `array`, got `null`"),
        ({"experiments": [{}]}, "missing required field `experiment`"),
        ({"experiments": [5]}, "Expected `object`, got `int`"),
    ],
)
def test_a_plan_that_was_changed_is_refused(change, said):
    """Whatever is not as it was written is found before anything runs."""
    with pytest.raises(UsageError, match=said):
        ShardPlan.load(json.dumps({**json.loads(PLAN.dump()), **change}))


@pytest.mark.parametrize("field", ["format", "shards", "prefix", "repetitions", "split", "endpoint", "experiments"])
def test_a_plan_that_lacks_something_is_refused(field):
    """Each of its fields is needed."""
    document = json.loads(PLAN.dump())
    del document[field]
    said = "has no `format`" if field == "format" else f"missing required field `{field}`"
    with pytest.raises(UsageError, match=said):
        ShardPlan.load(json.dumps(document))


@pytest.mark.parametrize("text", ["{", "{]", '{"format": 1'])
def test_a_torn_plan_is_refused(text):
    """JSON that ends too soon."""
    with pytest.raises(UsageError, match="is not JSON"):
        ShardPlan.load(text)
