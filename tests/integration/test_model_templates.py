"""Each project of `evalwire init --template`, with its provider's client and a provider on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from model_server import TOKENS, ModelServer, model_server

from conftest import Project, quiet_environment

FACTS = {
    "refund": "You get a refund within 30 days.",
    "delivery": "Delivery takes 3 to 5 working days.",
    "open": "We are here from 9:00 to 17:00 on weekdays.",
    "pay": "Pay by card or bank transfer.",
    "invoice": "Your accounts department gets one.",
}
UNKNOWN = "I do not know."
OPENAI, ANTHROPIC = ("gpt-5.4-mini-2026-03-17", "key-of-openai"), ("claude-haiku-4-5-20251001", "key-of-anthropic")
CLIENTS = {"openai": OPENAI, "anthropic": ANTHROPIC, "langchain": OPENAI, "pydantic-ai": OPENAI, "rag": OPENAI}
PRICES = {OPENAI[0]: (0.75, 4.5), ANTHROPIC[0]: (1.0, 5.0)}  # USD per million tokens


def answer(prompt: str) -> str:
    question = prompt.rpartition("Question:")[2].lower()
    return next((fact for word, fact in FACTS.items() if word in question), UNKNOWN)


@pytest.fixture
def provider() -> Iterator[ModelServer]:
    """A provider that knows all answers but one, and whose judge finds that one unhelpful."""
    with model_server(answer, verdict=lambda prompt: UNKNOWN not in prompt) as server:
        yield server


@pytest.fixture(autouse=True)
def _own_instrumentors() -> Iterator[None]:
    """Leave no client instrumented: each template has those that its own process would have."""
    yield
    for found in entry_points(group="openinference_instrumentor"):
        instrumentor: Any = found.load()()
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


def environment(provider: ModelServer, **extra: str) -> dict[str, str]:
    return quiet_environment(
        OPENAI_API_KEY=OPENAI[1],
        OPENAI_BASE_URL=f"{provider.url}/v1",
        ANTHROPIC_API_KEY=ANTHROPIC[1],
        ANTHROPIC_BASE_URL=provider.url,
        **extra,
    )


def result_of(project: Project, file: str = "results.json") -> dict[str, Any]:
    result: dict[str, Any] = json.loads((project.directory / "test-results" / file).read_text())["experiments"][0]
    return result


@pytest.mark.needs_phoenix
@pytest.mark.parametrize("template", CLIENTS)
def test_a_template_calls_its_model_and_judge_and_counts_both(template, tmp_path, provider, phoenix_url):
    """Its first request is refused, and repeated after the time that the provider names."""
    provider.refusals, provider.retry_after = 1, "0.1"
    project = Project(tmp_path, environment(provider, PHOENIX_ENDPOINT=phoenix_url))
    assert project.run("init", "--template", template).returncode == 0
    assert project.run("upload", "--on-exist", "overwrite").returncode == 0
    done = project.run("run")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert done.stdout.startswith(f"PASSED ({3 + (template == 'rag')} gates held): 1 experiment, 5 examples, none failed")

    result, (model, key) = result_of(project), CLIENTS[template]
    judge = "grounded" if template == "rag" else "helpful"
    outputs = [run["output"]["answer"] if template == "rag" else run["output"] for run in result["runs"]]
    last = FACTS["invoice"] if template == "rag" else UNKNOWN
    assert outputs == [FACTS["refund"], FACTS["delivery"], FACTS["open"], FACTS["pay"], last]
    means = {score["name"]: score["mean"] for score in result["scores"]}
    assert means["states_the_fact"] == 1.0
    assert means[judge] == (1.0 if template == "rag" else 0.8)
    assert means.get("finds_document", 0.7) >= 0.7

    assert provider.calls == {"answer": 5, "verdict": 5, "refused": 1}
    assert provider.keys == {key}
    assert provider.models - {"text-embedding-3-small"} == {model}
    (usage,) = result["usage"]
    prompt, completion = (5 * (TOKENS["answer"][side] + TOKENS["verdict"][side]) for side in (0, 1))
    assert (usage["model"], usage["prompt_tokens"], usage["completion_tokens"]) == (model, prompt, completion)
    assert result["cost_usd"] == pytest.approx((prompt * PRICES[model][0] + completion * PRICES[model][1]) / 1e6)
