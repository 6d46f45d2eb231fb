"""Each project of `evalwire init --template`, with its provider's client and a provider on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that are imported here first
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
    assert done.stdout.startswith(
        f"PASSED ({3 + (template == 'rag')} gates passed): 1 experiment, 5 examples, none failed"
    )

    result, (model, key) = result_of(project), CLIENTS[template]
    judge = "grounded" if template == "rag" else "helpful"
    outputs = [run["output"]["answer"] if template == "rag" else run["output"] for run in result["runs"]]
    last = FACTS["invoice"] if template == "rag" else UNKNOWN
    assert outputs == [FACTS["refund"], FACTS["delivery"], FACTS["open"], FACTS["pay"], last]
    means = {score["name"]: score["mean"] for score in result["scores"]}
    assert means["states_the_fact"] == 1.0
    assert means[judge] == (1.0 if template == "rag" else 0.8)
    assert means.get("finds_document", 1.0) == 1.0

    assert provider.calls == {"answer": 5, "verdict": 5, "refused": 1}
    assert provider.keys == {key}
    assert provider.models - {"text-embedding-3-small"} == {model}
    (usage,) = result["usage"]
    prompt, completion = (5 * (TOKENS["answer"][side] + TOKENS["verdict"][side]) for side in (0, 1))
    assert (usage["model"], usage["prompt_tokens"], usage["completion_tokens"]) == (model, prompt, completion)
    assert result["cost_usd"] == pytest.approx((prompt * PRICES[model][0] + completion * PRICES[model][1]) / 1e6)


def test_without_a_key_or_a_package_no_phoenix_is_started(tmp_path, provider):
    """One line says what is missing, and the next command."""
    environ = environment(provider)
    del environ["OPENAI_API_KEY"]
    project = Project(tmp_path, environ)
    assert project.run("init", "--template", "openai").returncode == 0
    done = project.run("run", "--local")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "evalwire: OPENAI_API_KEY is not set. Run: export OPENAI_API_KEY=..., or add OPENAI_API_KEY=... to .env "
        "(experiments/support_answers/task.py:12)\n"
    )
    project.write({"openai.py": "raise ModuleNotFoundError(\"No module named 'openai'\", name='openai')\n"})
    loaded = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "openai"}
    done = project.run("run", "--local")
    sys.modules.update(loaded)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "evalwire: No module named 'openai'. Run: pip install -r requirements.txt (openai.py:1)\n"
    assert not (tmp_path / ".evalwire").exists()


@pytest.mark.needs_phoenix
def test_an_answer_that_the_provider_refuses_the_judge_is_its_failure(tmp_path, provider, phoenix_url):
    """Nothing swallows the error of a judge, and it is no score."""
    provider.refuses_verdicts = True
    project = Project(tmp_path, environment(provider, PHOENIX_ENDPOINT=phoenix_url, EVALWIRE_RETRIES="0"))
    assert project.run("init", "--template", "openai").returncode == 0
    assert project.run("upload", "--on-exist", "overwrite").returncode == 0, "another template may have been there"
    assert project.run("run", "--dry-run").returncode == 1
    (run,) = result_of(project, "results-dry-run.json")["runs"]
    (helpful, states_the_fact) = run["evaluations"]
    assert (helpful["score"], helpful["failure"]["type"]) == (None, "RateLimitError")
    assert states_the_fact["score"] == 1.0


# --- LiteLLM, whose packages take a quarter of a gigabyte and seven seconds to import ----------------------

STAND_IN = """
from openai import AsyncOpenAI


async def acompletion(*, model, api_key, max_retries, messages, response_format=None):
    client = AsyncOpenAI(api_key=api_key, max_retries=max_retries)
    form = {}
    if response_format is not None:
        schema = {"name": "answer", "schema": response_format.model_json_schema()}
        form = {"response_format": {"type": "json_schema", "json_schema": schema}}
    return await client.chat.completions.create(model=model.removeprefix("openai/"), messages=messages, **form)
"""


def litellm_project(folder: Path, provider: ModelServer, **extra: str) -> Project:
    project = Project(folder, environment(provider, **extra))
    assert project.run("init", "--template", "litellm").returncode == 0
    assert project.run("upload", "--on-exist", "overwrite").returncode == 0
    return project


def check_litellm(result: dict[str, Any], provider: ModelServer) -> None:
    assert [run["output"] for run in result["runs"]] == [*list(FACTS.values())[:4], UNKNOWN]
    assert {score["name"]: score["mean"] for score in result["scores"]} == {"helpful": 0.8, "states_the_fact": 1.0}
    assert provider.calls == {"answer": 5, "verdict": 5}
    assert (provider.models, provider.keys) == ({OPENAI[0]}, {OPENAI[1]})


@pytest.mark.needs_phoenix
def test_the_litellm_template_runs_with_a_stand_in_for_the_library(tmp_path, provider, phoenix_url):
    project = litellm_project(tmp_path, provider, PHOENIX_ENDPOINT=phoenix_url)
    project.write({"litellm.py": STAND_IN})
    done = project.run("run", "--dry-run", "5")
    assert done.returncode == 0, (done.stdout, done.stderr)
    check_litellm(result_of(project, "results-dry-run.json"), provider)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.needs_phoenix
def test_the_litellm_template_counts_its_model_and_judge(tmp_path, tmp_path_factory, provider, phoenix_url):
    """With LiteLLM as its requirements install it, in a directory of its own: other tests would import it as well."""
    project = litellm_project(tmp_path, provider, PHOENIX_ENDPOINT=phoenix_url, LITELLM_LOCAL_MODEL_COST_MAP="True")
    packages = tmp_path_factory.mktemp("packages")  # outside of the project, whose modules evalwire reads
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    subprocess.run([*uv, "--target", packages, "-r", tmp_path / "requirements.txt"], check=True)
    process = project.start("run", PYTHONPATH=os.pathsep.join([str(packages), os.environ.get("PYTHONPATH", "")]))
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, (out, err)
    result = result_of(project)
    check_litellm(result, provider)
    (usage,) = result["usage"]
    assert usage["total_tokens"] == 5 * sum(map(sum, TOKENS.values()))
    assert result["cost_usd"] == pytest.approx(0.0007125)  # by LiteLLM's own table
