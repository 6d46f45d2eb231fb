"""Every span of a run is in its experiment's project, and no trouble with spans reaches the job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from in_process import own_tracer_provider

from evalwire.errors import ExperimentsFailed
from evalwire.phoenix.rest import Rest
from evalwire.runner import ExperimentRunner

pytestmark = pytest.mark.needs_phoenix


@pytest.fixture(autouse=True)
def _own_tracer_provider() -> Iterator[None]:
    """Keep a provider that a task registers, which is for ever, from the tests after this one."""
    with own_tracer_provider():
        yield


PLAIN_TRACER = """
    from opentelemetry import trace

    async def task(example):
        with trace.get_tracer("my-library").start_as_current_span("model call") as span:
            span.set_attribute("openinference.span.kind", "LLM")
            span.set_attribute("llm.token_count.prompt", 7)
            span.set_attribute("metadata", '{"a": 1}')
        return example.input["q"]
"""

OWN_REGISTER = """
    from phoenix.otel import register

    provider = None

    async def task(example):
        global provider
        if provider is None:
            provider = register(project_name="somewhere-else", verbose=False)
        with provider.get_tracer("mine").start_as_current_span("my llm") as span:
            span.set_attribute("openinference.span.kind", "LLM")
            span.set_attribute("llm.token_count.completion", 5)
        return example.input["q"]
"""


def test_every_run_is_linked_to_a_trace_in_its_own_experiments_project(phoenix_project, client, make_dataset, spans_of):
    """Two experiments in parallel, one of them with a `phoenix.otel.register()` of its own."""
    first, second = make_dataset(6), make_dataset(6)
    phoenix_project.experiment(first, task=PLAIN_TRACER).experiment(second, task=OWN_REGISTER)
    results = ExperimentRunner(phoenix_project.experiments, client, concurrency=2).run()
    assert {result.name for result in results} == {first, second}
    for result in results:
        assert result.project_name
        spans = spans_of(result.project_name, at_least=12)
        by_trace: dict[str, list[Any]] = {}
        for span in spans:
            by_trace.setdefault(span["context"]["trace_id"], []).append(span)
        assert set(by_trace) == {run.trace_id for run in result.runs}
        for trace in by_trace.values():
            assert sorted(span["span_kind"] for span in trace) == ["CHAIN", "LLM"]
            root = next(span for span in trace if span["span_kind"] == "CHAIN")
            child = next(span for span in trace if span["span_kind"] == "LLM")
            assert child["parent_id"] == root["context"]["span_id"]
    assert "somewhere-else" not in {project["name"] for project in client.projects.list()}


def test_the_clients_view_links_runs_to_traces(phoenix_project, client, make_dataset):
    """Phoenix itself returns the trace id with each run."""
    name = make_dataset(2)
    phoenix_project.experiment(name)
    (result,) = ExperimentRunner(phoenix_project.experiments, client).run()
    recorded = client.experiments.get_experiment(experiment_id=result.experiment_id)
    assert sorted(run["trace_id"] for run in recorded["task_runs"]) == sorted(run.trace_id for run in result.runs)


def test_a_failing_trace_endpoint_does_not_fail_or_slow_the_job(phoenix_project, client, make_dataset, monkeypatch):
    """Spans are lost and counted, and the run is as green as without them."""

    def refuse(*_: Any) -> None:
        raise ConnectionError("no traces here")

    monkeypatch.setattr(Rest, "send_spans", refuse)
    name = make_dataset(10)
    phoenix_project.experiment(name)
    (result,) = ExperimentRunner(phoenix_project.experiments, client).run()
    assert result.passed


def test_spans_wait_while_phoenix_is_away(phoenix_project, client, make_dataset, spans_of, monkeypatch):
    """As records do: a restart of Phoenix costs no trace."""
    send, refused = Rest.send_spans, iter(range(6))

    def send_spans(rest: Rest, request: bytes) -> None:
        if next(refused, None) is not None:
            raise httpx.ConnectError("connection refused")
        send(rest, request)

    monkeypatch.setattr(Rest, "send_spans", send_spans)
    phoenix_project.experiment(make_dataset(10))
    (result,) = ExperimentRunner(phoenix_project.experiments, client).run()
    assert next(refused, None) is None
    assert len(spans_of(result.opened.project_name, at_least=10)) == 10


def test_opentelemetry_is_left_as_it_was(phoenix_project, client, make_dataset):
    """After a run, the user's own `set_tracer_provider` still finds its place free."""
    from opentelemetry import trace
    from opentelemetry.sdk import trace as sdk

    before, start = trace._TRACER_PROVIDER, sdk.Span.start
    name = make_dataset(1)
    phoenix_project.experiment(name, task="async def task(example):\n    raise KeyError('x')\n")
    with pytest.raises(ExperimentsFailed):
        ExperimentRunner(phoenix_project.experiments, client).run()
    assert trace._TRACER_PROVIDER is before
    assert sdk.Span.start is start


def test_only_evaluators_with_something_to_show_are_traced(phoenix_project, client, make_dataset, spans_of):
    """A judge with a model call is; a plain evaluator is not, and its evaluation has no trace."""
    name = make_dataset(2)
    judge = PLAIN_TRACER.replace("async def task(example)", "async def judge(output)").replace(
        'return example.input["q"]', "return 1.0"
    )
    phoenix_project.experiment(name, judge=judge, plain="def plain(output): return 1.0\n")
    (result,) = ExperimentRunner(phoenix_project.experiments, client).run()
    traces = {"judge": set(), "plain": set()}
    for run in result.runs:
        for evaluation in run.evaluations:
            traces[evaluation.name].add(evaluation.trace_id)
    assert traces["plain"] == {None}
    spans = spans_of("evaluators", at_least=4, trace_ids=list(traces["judge"]))  # other tests have spans there, too
    assert sorted(span["name"] for span in spans) == ["judge", "judge", "model call", "model call"]
    document = client.experiments.get_experiment(experiment_id=result.experiment_id)
    recorded = {each.name: each.trace_id for each in document["evaluation_runs"]}
    assert recorded["plain"] is None
    assert recorded["judge"] in traces["judge"]
