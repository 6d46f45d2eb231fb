"""What LLM spans used is counted once, by model, and is there when a call ends."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import TracerProvider

from evalwire.model import Dataset, Experiment, OpenExperiment
from evalwire.model.experiment import Callee
from evalwire.model.prices import Price
from evalwire.model.usage import Cost, ModelUsage, SpanUsage, token_count, total_usage, usage_cost, usage_of_spans
from evalwire.recording.tracing.spans import CallSpan
from evalwire.recording.tracing.tracing import Tracing


def llm(span_id: int, parent_id: int | None = None, prompt: int | None = None, **changes) -> SpanUsage:
    return SpanUsage(id=span_id, parent_id=parent_id, is_llm=True, model="m", prompt_tokens=prompt, **changes)


def figures(*spans: SpanUsage) -> tuple[int, int, int]:
    """Calls, tokens, and calls without a count."""
    used = usage_of_spans(spans)
    return sum(one.calls for one in used), token_count(used), sum(one.uncounted for one in used)


def test_only_llm_spans_count():
    chain = SpanUsage(id=1, prompt_tokens=100, cost_usd=3.0)
    assert figures(chain, llm(2, 1, 7)) == (1, 7, 0)
    assert usage_of_spans([chain]) == ()
    assert usage_of_spans([]) == ()


def test_llm_spans_side_by_side_add_up():
    assert figures(llm(1, None, 3), llm(2, None, 4), llm(3, 9, 5)) == (3, 12, 0)


def test_of_llm_spans_within_each_other_the_outermost_counts():
    """Also where others lie between them, and in whatever order they ended."""
    spans = [llm(1, None, 10), SpanUsage(id=2, parent_id=1), llm(3, 2, 9), llm(4, 3, 8)]
    assert figures(*spans) == figures(*reversed(spans)) == (1, 10, 0)


def test_an_llm_span_without_tokens_leaves_it_to_those_within():
    assert figures(llm(1), llm(2, 1, 7), llm(3, 1, 8)) == (2, 15, 0)
    assert figures(llm(1), llm(2, 1), llm(3, 2, 7)) == (1, 7, 0)


def test_an_llm_span_without_tokens_within_one_that_tells_them_says_nothing():
    assert figures(llm(1, None, 7), llm(2, 1)) == (1, 7, 0)


def test_llm_spans_without_tokens_within_each_other_are_one_call_without_a_count():
    assert figures(llm(1), llm(2, 1), llm(3, 2)) == (1, 0, 1)


def test_a_call_without_a_count_is_not_lost_beside_one_with():
    """Under a span that tells nothing itself."""
    assert figures(llm(1), llm(2, 1, 7), llm(3, 1)) == (2, 7, 1)


def test_a_refused_call_used_nothing():
    refused = llm(1, is_refused=True)
    assert usage_of_spans([refused, llm(2, 1, is_refused=True)]) == ()
    assert figures(refused, llm(2, None, 7)) == (1, 7, 0)
    assert figures(llm(1, None, 3, is_refused=True)) == (1, 3, 0)


def test_spans_that_claim_to_be_around_each_other_end_no_run():
    assert figures(llm(1, 2), llm(2, 1), llm(3, 3, 5))[1] <= 5


def test_a_total_is_the_spans_own_or_the_sum():
    assert figures(llm(1, None, 3, completion_tokens=4)) == (1, 7, 0)
    assert figures(llm(1, None, 3, completion_tokens=4, total_tokens=9)) == (1, 9, 0)
    assert figures(llm(1, total_tokens=9)) == (1, 9, 0)
    assert figures(llm(1, None, 0)) == (1, 0, 0)


def test_usage_adds_up_by_model_in_the_order_of_names():
    b, a = ModelUsage(model="b", calls=1, total_tokens=5), ModelUsage(model="a", calls=2, cost_usd=0.5, uncounted=1)
    assert total_usage([(b,), (a,), (b, a)]) == (
        ModelUsage(model="a", calls=4, cost_usd=1.0, uncounted=2),
        ModelUsage(model="b", calls=2, total_tokens=10),
    )
    assert total_usage([]) == ()


def test_the_longest_prompt_is_that_of_a_call():
    short, long = (ModelUsage(model="m", unpriced_longest_prompt=size) for size in (3, 5))
    assert total_usage([(short,), (long,), (short,)])[0].unpriced_longest_prompt == 5
    used = usage_of_spans([llm(1, None, 3), llm(2, None, 7), llm(3, None, 9, cost_usd=1.0)])
    assert used[0].unpriced_longest_prompt == 7


def test_a_spans_own_cost_counts_before_the_table():
    used = usage_of_spans([llm(1, None, 1_000_000, cost_usd=0.25)])
    assert usage_cost(used, {"m": Price(input=9, output=9)}) == Cost(usd=0.25)


def test_a_span_without_a_cost_is_priced_by_the_table_per_million_tokens():
    used = usage_of_spans([llm(1, None, 2_000_000, completion_tokens=500_000), llm(2, None, 5, cost_usd=1.0)])
    cost = usage_cost(used, {"m": Price(input=2, output=8)})
    assert (cost.usd, cost.unknown) == (pytest.approx(9.0), ())


def test_a_model_without_a_price_is_named_and_what_is_known_is_summed():
    used = usage_of_spans([llm(1, None, 5), SpanUsage(id=2, is_llm=True, model="n", prompt_tokens=5, cost_usd=1.0)])
    assert usage_cost(used, {}) == Cost(usd=1.0, unknown=("m",), unpriced=("m",))


def test_what_has_no_count_has_no_cost_by_a_table():
    assert usage_cost(usage_of_spans([llm(1)]), {"m": Price(input=2, output=8)}) == Cost(usd=0.0, unknown=("m",))


def test_a_cost_of_0_is_known():
    assert usage_cost(usage_of_spans([llm(1, None, 5, cost_usd=0.0)]), {}) == Cost(usd=0.0)


# --- through real spans --------------------------------------------------------------------------------


def call(tracing: Tracing, *, project: str | None = "p") -> CallSpan:
    callee = Callee(
        name="task", path=Path("task.py"), function=print, is_async=False, on_loop=False, positional=(), keywords={}
    )
    opened = OpenExperiment(
        experiment=Experiment(name="e", dataset_name="e", path=Path("e"), task=callee),
        dataset=Dataset(id="d", name="e", version_id="v", examples=()),
        recorded_name="eval_e",
        project_name=project,
    )
    return tracing.trace(opened, callee, {"input": {"q": "?"}})


def make_llm_span(provider: trace_api.TracerProvider | None = None, **attributes) -> None:
    tracer = (provider or trace_api).get_tracer("mine")
    with tracer.start_as_current_span("model call") as span:
        span.set_attribute("openinference.span.kind", "LLM")
        span.set_attribute("llm.model_name", "m")
        for name, value in attributes.items():
            span.set_attribute(f"llm.{name.replace('__', '.')}", value)


@pytest.fixture
def tracing():
    with Tracing(lambda project, spans: 0, mask=str).installed() as installed:
        yield installed


@pytest.mark.parametrize("own_provider", [False, True])
def test_a_call_knows_what_the_spans_in_its_context_used(tracing, own_provider):
    """Of evalwire's provider, or of one that the user made."""
    span = call(tracing)
    provider = TracerProvider(shutdown_on_exit=False) if own_provider else None
    counts = {"token_count__prompt": 7, "token_count__completion": 5, "cost__total": 0.5}
    span.context.run(make_llm_span, provider, **counts)
    assert span.usage is None
    span.finish(output="x")
    assert span.usage == (
        ModelUsage(model="m", calls=1, prompt_tokens=7, completion_tokens=5, total_tokens=12, cost_usd=0.5),
    )


def test_calls_at_the_same_time_know_each_its_own(tracing):
    first, second = call(tracing), call(tracing)
    first.context.run(make_llm_span, token_count__total=3)
    second.context.run(make_llm_span, token_count__total=4)
    make_llm_span(token_count__total=100)
    second.finish(output="x")
    first.finish(output="x")
    assert (token_count(first.usage), token_count(second.usage)) == (3, 4)


def test_a_call_without_llm_spans_used_nothing_and_one_without_a_project_is_not_known(tracing):
    span, dry = call(tracing), call(tracing, project=None)
    dry.context.run(make_llm_span, token_count__total=3)
    span.finish(output="x")
    dry.finish(output="x")
    assert span.usage == ()
    assert dry.usage is None


@pytest.mark.parametrize("value", ["7", True, -1, float("nan"), float("inf")])
def test_a_count_that_is_none_is_not_counted(tracing, value):
    span = call(tracing)
    span.context.run(make_llm_span, token_count__prompt=value, cost__total=value)
    span.finish(output="x")
    assert span.usage == (ModelUsage(model="m", calls=1, uncounted=1, unpriced=1),)


def test_a_span_of_another_kind_uses_nothing(tracing):
    span = call(tracing)

    def work() -> None:
        with trace_api.get_tracer("mine").start_as_current_span("agent") as agent:
            agent.set_attribute("openinference.span.kind", "AGENT")
            agent.set_attribute("llm.token_count.total", 100)
            make_llm_span(token_count__total=100)

    span.context.run(work)
    span.finish(output="x")
    assert (span.usage[0].calls, token_count(span.usage)) == (1, 100)


@pytest.mark.parametrize(("name", "is_refused"), [("RateLimitError", True), ("APITimeoutError", False)])
def test_a_call_that_its_provider_refuses_leaves_the_usage_known(tracing, name, is_refused):
    """A call that timed out may have used tokens."""
    span = call(tracing)

    def work() -> None:
        with (
            contextlib.suppress(RuntimeError),
            trace_api.get_tracer("mine").start_as_current_span("model call") as model,
        ):
            model.set_attribute("openinference.span.kind", "LLM")
            model.set_attribute("llm.model_name", "m")
            raise type(name, (RuntimeError,), {})("Error code: 429")

    span.context.run(work)
    span.context.run(make_llm_span, token_count__prompt=7)
    span.finish(output="x")
    uncounted = 0 if is_refused else 1
    assert span.usage == (
        ModelUsage(
            model="m",
            calls=1 + uncounted,
            prompt_tokens=7,
            total_tokens=7,
            uncounted=uncounted,
            unpriced=1 + uncounted,
            unpriced_prompt_tokens=7,
            unpriced_longest_prompt=7,
        ),
    )


def test_a_total_without_its_parts_is_not_free():
    """What is in neither part costs as much as what the model made, which is the dearer."""
    prices = {"m": Price(input=5, output=15)}
    (used,) = usage_of_spans([llm(1, total_tokens=1_000_000)])
    assert usage_cost((used,), prices).usd == 15.0
    (used,) = usage_of_spans([llm(1, None, 200_000, completion_tokens=300_000, total_tokens=1_000_000)])
    assert usage_cost((used,), prices).usd == pytest.approx(1 + 4.5 + 7.5)
