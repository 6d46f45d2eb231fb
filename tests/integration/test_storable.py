"""What `to_json` lets through, Phoenix stores; what Phoenix refuses for ever, `to_json` refuses first."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from evalwire.errors import PhoenixError
from evalwire.model import CREATION_KEY, TaskRun, is_same_json, to_json
from evalwire.phoenix import Phoenix, RetryPolicy
from evalwire.phoenix.connection import connect

pytestmark = pytest.mark.needs_phoenix
ONCE = RetryPolicy(attempts=1)


def nested(levels: int) -> Any:
    return 1 if levels == 0 else [nested(levels - 1)]


AT_THE_EDGE = {
    "the largest integer": 2**64 - 1,
    "the least integer": -(2**63),
    "the least float": 5e-324,
    "a float that PostgreSQL gives back as another integer": 1.844674407370955e19,
    "other controls": "".join(map(chr, range(1, 32))),
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "an empty key": {"": ""},
    "levels": nested(250),
    "levels of objects": {"a": nested(249)},
}
REFUSED = {"integer": 2**64, "negative integer": -(2**63) - 1, "levels": nested(255)}
REFUSED_BY_POSTGRESQL = {"text": "a\0", "key": {"a\0": 1}}


@pytest.fixture
def record(each_phoenix_url):
    """Records an output as it is, past `to_json`, and gives what Phoenix holds."""
    name = f"storable_{uuid.uuid4().hex[:10]}"
    client = connect(base_url=each_phoenix_url)
    client.datasets.create_dataset(name=name, examples=[{"input": {"q": 1}, "output": {}}], timeout=60)
    phoenix = Phoenix(client, record=ONCE)
    dataset = phoenix.datasets.fetch(name)
    created = phoenix.experiments.create(dataset, name=name, metadata={CREATION_KEY: name}, repetitions=1)

    def record(output: Any) -> Any:
        now = datetime.now(UTC)
        run = TaskRun(example=dataset.examples[0], output=output, failure=None, start_time=now, end_time=now)
        phoenix.runs.record(created["id"], run, error=None)
        (held,) = client.experiments.get_experiment(experiment_id=created["id"])["task_runs"]
        return held["output"]

    return record


@pytest.mark.parametrize("output", AT_THE_EDGE.values(), ids=AT_THE_EDGE)
def test_what_is_let_through_is_stored(record, output):
    held = record(to_json(output))
    assert is_same_json(held, output), held


@pytest.mark.parametrize("output", REFUSED.values(), ids=REFUSED)
def test_what_phoenix_refuses_is_refused_before(record, output):
    """Were one of them stored one day, the limit of `to_json` could go."""
    with pytest.raises(ValueError, match="which Phoenix does not store"):
        to_json(output)
    with pytest.raises(PhoenixError, match="HTTP 500"):
        record(output)


@pytest.mark.parametrize("each_phoenix_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("output", REFUSED_BY_POSTGRESQL.values(), ids=REFUSED_BY_POSTGRESQL)
def test_what_postgresql_refuses_is_refused_before(record, output):
    with pytest.raises(ValueError, match="NUL character"):
        to_json(output)
    with pytest.raises(PhoenixError, match="HTTP 500"):
        record(output)
