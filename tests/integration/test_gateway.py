"""Phoenix's client behind one retry policy, against a real server with faults in between."""

from __future__ import annotations

import subprocess
import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from faults import Fault, FaultyPhoenix, first
from opentelemetry.sdk import trace as trace_sdk

from evalwire.errors import DatasetNotFound, PhoenixError, PhoenixRefused, PhoenixUnreachable, UsageError
from evalwire.model.example import Example
from evalwire.model.failure import Failure
from evalwire.model.metadata import CREATION_KEY
from evalwire.model.run import Evaluation, TaskRun
from evalwire.phoenix.connection import connect
from evalwire.phoenix.retry_policy import RetryPolicy
from evalwire.phoenix.server import Phoenix
from evalwire.recording.tracing.encoding import encode_spans

pytestmark = pytest.mark.needs_phoenix

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def proxy(phoenix_url):
    with FaultyPhoenix(phoenix_url).serving() as running:
        yield running


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def phoenix(proxy, waits) -> Phoenix:
    policy = RetryPolicy(attempts=4, total_seconds=30, sleep=waits.append)
    return Phoenix(connect(base_url=proxy.url), fetch=policy)


@pytest.fixture
def dataset(phoenix, make_dataset):
    return phoenix.datasets.fetch(make_dataset(2))


def run_of(example: Example, output: Any = "out") -> TaskRun:
    return TaskRun(example=example, output=output, failure=None, start_time=NOW, end_time=NOW)


def evaluation(score: float = 1.0) -> Evaluation:
    return Evaluation(name="e", evaluator="e", score=score, start_time=NOW, end_time=NOW)


def a_key() -> dict[str, Any]:
    return {CREATION_KEY: uuid.uuid4().hex}


def created_with(client: Any, dataset: Any, metadata: dict[str, Any]) -> list[str]:
    found = client.experiments.list(dataset_id=dataset.id)
    return [one["id"] for one in found if one["metadata"].get(CREATION_KEY) == metadata[CREATION_KEY]]


def test_a_dataset_comes_with_its_examples_in_order(phoenix, make_dataset):
    found = phoenix.datasets.fetch(make_dataset(3))
    assert [example.input["q"] for example in found.examples] == ["question 0", "question 1", "question 2"]
    assert all(example.node_id and example.id for example in found.examples)


@pytest.mark.parametrize(
    "fault",
    [Fault(status=503), Fault(status=502), Fault(status=429), Fault(reset=True), Fault(status=200, body=b"<html>")],
    ids=["503", "502", "429", "reset", "html"],
)
def test_a_passing_trouble_is_retried(phoenix, proxy, waits, make_dataset, fault):
    name = make_dataset(2)
    proxy.rule = first(2, fault, method="GET", part="/v1/datasets")
    assert len(phoenix.datasets.fetch(name).examples) == 2
    assert len(waits) == 2


def test_retry_after_is_honoured(phoenix, proxy, waits, make_dataset):
    name = make_dataset(2)
    fault = Fault(status=429, headers={"Retry-After": "7"})
    proxy.rule = first(1, fault, method="GET", part="/v1/datasets")
    phoenix.datasets.fetch(name)
    assert waits == [pytest.approx(7.0, abs=0.1)]


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_a_permanent_answer_is_not_retried(phoenix, proxy, waits, status):
    proxy.rule = lambda _method, _path: Fault(status=status)
    with pytest.raises(PhoenixRefused if status in (401, 403) else PhoenixError):
        phoenix.datasets.fetch("any")
    assert proxy.count("GET", "/v1/datasets") == 1
    assert waits == []


def test_attempts_are_bounded(phoenix, proxy, waits):
    proxy.rule = lambda _method, _path: Fault(status=503)
    with pytest.raises(PhoenixUnreachable, match="HTTP 503"):
        phoenix.datasets.fetch("any")
    assert proxy.count("GET", "/v1/datasets") == 4
    assert len(waits) == 3


def test_a_dataset_that_is_not_there_is_its_own_error(phoenix, waits):
    with pytest.raises(DatasetNotFound, match="no dataset 'nope'"):
        phoenix.datasets.fetch("nope")
    assert waits == []


def test_nobody_listening_is_said_with_the_address_and_what_to_set():
    client = connect(base_url="http://127.0.0.1:9")
    phoenix = Phoenix(client, fetch=RetryPolicy(attempts=2, sleep=lambda _: None))
    with pytest.raises(PhoenixUnreachable, match=r"http://127\.0\.0\.1:9 .*(?s:.)*PHOENIX_ENDPOINT"):
        phoenix.datasets.fetch("any")


def test_an_endpoint_without_a_scheme_is_an_error_that_says_so():
    with pytest.raises(UsageError, match="not an http"):
        connect(base_url="localhost:6006")


def test_a_record_whose_answer_was_lost_is_recorded_once(phoenix, proxy, client, dataset):
    """The server has the run, the answer is lost, the repeat is a 409: a success, with the run's id."""
    created = phoenix.experiments.create(dataset, name="lost answers", metadata=a_key())
    proxy.rule = first(1, Fault(reset=True, after_commit=True), method="POST", part="/runs")
    run_id = phoenix.runs.record(created["id"], run_of(dataset.examples[0]), error=None)
    proxy.rule = first(1, Fault(reset=True, after_commit=True), method="POST", part="/v1/experiment_evaluations")
    phoenix.runs.record_evaluation(run_id, evaluation(0.5), error=None)
    recorded = client.experiments.get_experiment(experiment_id=created["id"])
    assert [run["id"] for run in recorded["task_runs"]] == [run_id]
    assert [one.result["score"] for one in recorded["evaluation_runs"]] == [0.5]


def test_a_run_that_somebody_else_recorded_is_no_success(phoenix, dataset):
    created = phoenix.experiments.create(dataset, name="taken", metadata=a_key())
    run_id = phoenix.runs.record(created["id"], run_of(dataset.examples[0], {"said": "theirs"}), error=None)
    with pytest.raises(PhoenixError, match=f"already has a different output for example {dataset.examples[0].id}"):
        phoenix.runs.record(created["id"], run_of(dataset.examples[0], {"said": "ours"}), error=None)
    assert phoenix.runs.record(created["id"], run_of(dataset.examples[0], {"said": "theirs"}), error=None) == run_id


def test_a_failure_does_not_take_the_place_of_a_recorded_output(phoenix, dataset):
    created = phoenix.experiments.create(dataset, name="taken", metadata=a_key())
    phoenix.runs.record(created["id"], run_of(dataset.examples[0], None), error=None)
    with pytest.raises(PhoenixError, match="already has a different output"):
        phoenix.runs.record(created["id"], run_of(dataset.examples[0], None), error="KeyError: q")


def test_a_creation_whose_answer_was_lost_is_one_experiment(phoenix, proxy, client, dataset):
    key = a_key()
    proxy.rule = first(1, Fault(reset=True, after_commit=True), method="POST", part="/experiments")
    created = phoenix.experiments.create(dataset, name="lost", metadata=key)
    assert created_with(client, dataset, key) == [created["id"]]


def test_an_experiment_that_an_earlier_process_created_is_adopted(phoenix, client, dataset):
    key = a_key()
    first_one = phoenix.experiments.create(dataset, name="before the kill", metadata=key)
    again = phoenix.experiments.create(dataset, name="before the kill", metadata=key, adopt=True)
    assert again["id"] == first_one["id"]
    assert created_with(client, dataset, key) == [first_one["id"]]


def test_a_twin_that_phoenix_created_late_is_removed_and_the_one_with_runs_kept(phoenix, proxy, client, dataset):
    """The server carried the first request out after the client had looked for it."""
    key = a_key()
    proxy.rule = first(1, Fault(reset=True), method="POST", part="/experiments")
    kept = phoenix.experiments.create(dataset, name="late", metadata=key)
    client.experiments.create(dataset_id=dataset.id, experiment_name="late", experiment_metadata=key)
    phoenix.runs.record(kept["id"], run_of(dataset.examples[0]), error=None)
    phoenix.experiments.remove_twins(dataset.id, key[CREATION_KEY], keep=kept["id"])
    assert created_with(client, dataset, key) == [kept["id"]]


def test_repetitions_are_phoenixs(phoenix, client, dataset):
    created = phoenix.experiments.create(dataset, name="thrice", metadata=a_key(), repetitions=3)
    phoenix.runs.record(created["id"], replace(run_of(dataset.examples[0]), repetition=3), error=None)
    assert client.experiments.get(experiment_id=created["id"])["missing_run_count"] == 2 * 3 - 1


def test_what_was_recorded_can_be_read_back(phoenix, dataset):
    created = phoenix.experiments.create(dataset, name="read", metadata=a_key())
    good, bad = dataset.examples
    run_id = phoenix.runs.record(created["id"], run_of(good, {"said": "yes"}), error=None)
    phoenix.runs.record_evaluation(run_id, evaluation(0.5), error=None)
    phoenix.runs.record_evaluation(run_id, replace(evaluation(), name="f", score=None), error="ValueError: no")
    phoenix.runs.record(created["id"], run_of(bad, None), error="KeyError: q (task.py:3)")
    found = {run.example.id: run for run in phoenix.runs.read(created["id"], dataset)}
    assert found[good.id].id == run_id
    assert found[good.id].output == {"said": "yes"}
    assert found[good.id].start_time == NOW
    assert {one.name: (one.score, one.failure) for one in found[good.id].evaluations} == {
        "e": (0.5, None),
        "f": (None, Failure(kind="user", stage="evaluator", type="ValueError", message="no")),
    }
    assert found[bad.id].output is None
    assert found[bad.id].failure == Failure(kind="user", stage="task", type="KeyError", message="q (task.py:3)")


def test_what_is_missing_is_named(phoenix, dataset):
    """Nothing is, where it has all; a run or an evaluation that never arrived is told with its example."""
    created = phoenix.experiments.create(dataset, name="count", metadata=a_key())
    one, other = (
        replace(
            run_of(example),
            id=phoenix.runs.record(created["id"], run_of(example), error=None),
            evaluations=(replace(evaluation(), id="sent"),),
        )
        for example in dataset.examples
    )
    assert phoenix.runs.missing(created["id"], [replace(one, evaluations=()), replace(other, evaluations=())]) == []
    phoenix.runs.record_evaluation(one.id, evaluation(), error=None)
    assert phoenix.runs.missing(created["id"], [one, other]) == [
        f"missing evaluations 'e': 1 (example {other.example.id})"
    ]
    phoenix.runs.record_evaluation(other.id, evaluation(), error=None)
    assert phoenix.runs.missing(created["id"], [one, other]) == []
    lost = replace(other, id="RXhwZXJpbWVudFJ1bjo5OTk5OTk5")
    told = phoenix.runs.missing(created["id"], [one, other, lost])
    assert told == [f"missing runs: 1 (example {other.example.id})"]
    assert phoenix.runs.missing(created["id"], [one]) == ["runs of another job: 1"]
    failed = replace(other, evaluations=(), failure=Failure(kind="user", stage="task", type="KeyError", message="q"))
    assert phoenix.runs.missing(created["id"], [one, failed]) == [
        f"different runs: 1 (example {other.example.id} is recorded as a success)"
    ]


def test_a_500_that_stays_is_given_up_after_three_tries(phoenix, proxy, dataset):
    created = phoenix.experiments.create(dataset, name="wrong example", metadata=a_key())
    proxy.rule = lambda method, path: Fault(status=500) if method == "POST" and "/runs" in path else None
    with pytest.raises(PhoenixError) as caught:
        phoenix.runs.record(created["id"], run_of(dataset.examples[0]), error=None)
    assert not isinstance(caught.value, PhoenixUnreachable)
    assert proxy.count("POST", "/runs") == 3


def test_after_an_outage_each_request_has_one_try(phoenix, proxy, dataset):
    created = phoenix.experiments.create(dataset, name="outage", metadata=a_key())
    proxy.rule = lambda _method, _path: Fault(status=503)
    for example in dataset.examples:
        with pytest.raises(PhoenixUnreachable):
            phoenix.runs.record(created["id"], run_of(example), error=None)
    assert proxy.count("POST", "/runs") == 4 + 1


def test_a_span_that_phoenix_has_already_does_not_cost_the_others(phoenix, spans_of):
    """A user's own exporter may have sent it."""
    tracer, project = trace_sdk.TracerProvider().get_tracer("t"), f"spans-{uuid.uuid4().hex}"
    spans = [tracer.start_span(name) for name in "ab"]
    for span in spans:
        span.end()
    assert phoenix.spans.deliver(encode_spans([(project, spans[0])]), 1) == 0
    spans_of(project, at_least=1)
    assert phoenix.spans.deliver(encode_spans([(project, span) for span in spans]), 2) == 0
    assert sorted(one["name"] for one in spans_of(project, at_least=2)) == ["a", "b"]


def test_phoenix_translates_attributes_of_opentelemetry(phoenix, spans_of):
    """`gen_ai.*`, as instrumentors other than OpenInference's set them."""
    project = f"spans-{uuid.uuid4().hex}"
    span = trace_sdk.TracerProvider().get_tracer("t").start_span("chat")
    span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 7})
    span.end()
    assert phoenix.spans.deliver(encode_spans([(project, span)]), 1) == 0
    [found] = spans_of(project, at_least=1)
    assert found["span_kind"] == "LLM"
    assert found["attributes"]["llm.token_count.prompt"] == 7


@pytest.mark.parametrize(("status", "lost"), [(401, 2), (413, 2), (503, None)])
def test_spans_that_phoenix_refuses_are_lost_and_an_outage_is_told(phoenix, proxy, status, lost):
    proxy.rule = lambda _method, path: Fault(status=status) if path.endswith("/v1/traces") else None
    if lost is None:
        with pytest.raises(PhoenixUnreachable):
            phoenix.spans.deliver(b"", 2)
    else:
        assert phoenix.spans.deliver(b"", 2) == lost


def test_the_servers_version_is_told(phoenix):
    assert phoenix.version().count(".") == 2


def test_a_version_that_cannot_be_asked_is_no_failure(phoenix, proxy):
    """The credentials were accepted; that is what counts."""
    proxy.rule = lambda _method, path: Fault(reset=True) if path.endswith("/arize_phoenix_version") else None
    assert phoenix.version() == "unknown"


def test_the_address_is_the_clients_own(phoenix, proxy):
    assert phoenix.endpoint == proxy.url


def test_links_have_the_address_that_people_use(phoenix):
    inside = phoenix.experiments.url("D", "E")
    outside = Phoenix(connect(base_url=phoenix.endpoint), public_endpoint="https://phoenix.example/").experiments.url(
        "D", "E"
    )
    assert outside == inside.replace(phoenix.endpoint, "https://phoenix.example")


CONNECT = (
    "import sys; from evalwire.phoenix.connection import connect; connect(base_url='http://x');"
    "assert not {'phoenix.server', 'phoenix.evals', 'pandas'} & sys.modules.keys();"
)


def test_the_client_is_imported_without_the_server():
    """Where arize-phoenix is installed too, its server (10 s) and its evals with pandas (0.8 s) stay out."""
    subprocess.run([sys.executable, "-c", f"{CONNECT} import phoenix.evals"], check=True, timeout=120)


@pytest.mark.slow
def test_the_server_is_there_for_who_asks_for_it():
    code = f"{CONNECT} import phoenix; assert phoenix.__version__.count('.') == 2"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
