"""Random jobs with early verdicts, budgets, failures and outages, each of which is resumed: promises of all of them."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from memory_project import MemoryProject
from nightly import mostly_nightly

from evalwire.cli.commands.gate import gate
from evalwire.cli.commands.resume import resume
from evalwire.cli.commands.run import run
from evalwire.errors import PhoenixUnreachable

TASK = """
import os
from opentelemetry import trace

def task(example):
    with open(os.environ["CALLS"], "a") as file:
        file.write(f"{example.id}\\n")
    if example.id in os.environ["FAILS"].split():
        raise ValueError("bad")
    with trace.get_tracer("test").start_as_current_span("chat") as span:
        span.set_attribute("openinference.span.kind", "LLM")
        span.set_attribute("llm.model_name", "m")
        span.set_attribute("llm.token_count.prompt", 1_000_000)
        span.set_attribute("llm.token_count.completion", 0)
    return int(example.id[1:]) < int(os.environ["GOOD"])
"""
GOOD = "def good(output):\n    return output\n"


class RandomJob:
    """A job with random settings; each run that does not fail costs 1 USD."""

    def __init__(self, folder, monkeypatch, seed: int) -> None:
        chance = random.Random(seed)
        size = chance.choice([1, 5, 31, 60, 120])
        fails = chance.choice([0, 0, 0.05, 0.3])
        self.repetitions = chance.choice([1, 1, 3])
        self.runs = size * self.repetitions
        self.project = MemoryProject(folder, monkeypatch, size=size, of_split=0, task=TASK, good=GOOD)
        failing = [f"q{n}" for n in range(size) if chance.random() < fails]
        self.free = set(failing)
        self.project.set(GOOD=str(round(size * chance.choice([1, 1, 0.95, 0.5]))), FAILS=" ".join(failing))
        gates = [f"good = {{ min_pass_rate = {chance.choice([0.0, 0.5, 0.9, 1.0])} }}"]
        others = {"max_error_rate": [0.0, 0.1, 0.5, 1.0], "max_cost_usd": [10, 50, 500], "max_p95_seconds": [1e-6, 10]}
        gates += [f"{rule} = {chance.choice(limits)}" for rule, limits in others.items() if chance.random() < 0.25]
        rules = [
            f"min_examples = {chance.choice([1, 10, 30])}",
            f"risk = {chance.choice([0.01, 0.2])}",
            f"errors = '{chance.choice(['seen', 'all'])}'",
            f"on_failed = '{chance.choice(['stop', 'finish'])}'",
        ]
        prices = ["[prices]", "m = { input = 1.0, output = 1.0 }"]
        self.project.settings("\n".join([*prices, "[gates]", *gates, "[stopping]", *rules]))
        places = str(chance.choice([1, 3, 10, 200]))
        self.flags = {"base_branch": "another", "retries": "0", "task_concurrency": places}
        self.is_early = chance.random() < 0.8
        self.budget = chance.choice([None, None, size // 3 + 1, self.runs, self.runs * 2])
        self.most_failures = chance.choice([None, None, None, "1", "10%"])
        self.recorded_until = chance.choice([None, chance.randrange(self.runs)])
        self.is_whole_at_last = self.is_early and chance.random() < 0.5
        self.more = chance.choice([1, size, self.runs * 3])
        self.made: Counter[str] = Counter()

    def start(self, monkeypatch) -> int:
        """Run the job; an outage of Phoenix may end it."""
        flags = {
            **self.flags,
            "repetitions": str(self.repetitions),
            **({"stop_early": "true"} if self.is_early else {}),
            **({"max_cost_usd": str(self.budget)} if self.budget else {}),
            **({"max_failures": self.most_failures} if self.most_failures else {}),
        }
        record = self.project.phoenix.runs.record
        left = self.runs if self.recorded_until is None else self.recorded_until

        def until_gone(*arguments, **options):
            nonlocal left
            left -= 1
            if left < 0:
                raise PhoenixUnreachable("the server does not answer")
            return record(*arguments, **options)

        monkeypatch.setattr(self.project.phoenix.runs, "record", until_gone)
        code, _ = self._called(run, flags)
        monkeypatch.setattr(self.project.phoenix.runs, "record", record)
        return code

    def resume(self) -> int:
        flags = {**self.flags, **({"max_cost_usd": str(self.more)} if self.budget else {})}
        return self._called(resume, flags, whole=self.is_whole_at_last)[0]

    def gate(self) -> int:
        code, _ = self.project.call(gate, {"base_branch": "another"}, experiment_ids=[self.experiment_id])
        return code

    def _called(self, command, flags, **options) -> tuple[int, str]:
        done = self.project.call(command, flags, **options)
        self.made.update(self.project.calls.read_text().split())
        return done

    @property
    def experiment_id(self) -> str:
        return list(self.project.phoenix.experiments.records)[-1]

    def check(self, code: int) -> None:
        """Check what holds of each report, and that no run was made twice."""
        results = self.project.results
        (experiment,) = results["experiments"]
        assert code == (0 if results["outcome"] == "passed" else 1)
        assert max(self.made.values(), default=0) <= self.repetitions
        if results["budget"]:
            most = results["budget"]["max_cost_usd"] + len(self.free)  # as many may start as were free before
            assert results["budget"]["spent_usd"] <= most, "all others cost the same"
            assert results["budget"]["spent_usd"] == sum(self.made[each] for each in self.made.keys() - self.free)
        if code:
            return
        assert {each["status"] for each in results["gates"]} == {"passed"}
        assert not (results["budget"] and results["budget"]["ended"])
        stopping = experiment["stopping"]
        if stopping is None or (stopping["seen"], stopping["rounds"]) == (stopping["of"], stopping["of_rounds"]):
            assert len(experiment["runs"]) == self.runs
        else:
            assert "failed" not in {each["status"] for each in stopping["decisions"]}


@pytest.mark.parametrize("seed", mostly_nightly(range(500), kept=range(25)))
def test_no_job_passes_wrongly_or_makes_a_run_twice_or_loses_it(tmp_path, monkeypatch, seed):
    job = RandomJob(tmp_path, monkeypatch, seed)
    code = job.start(monkeypatch)
    job.check(code)
    if code == 0:
        assert job.gate() == 0, "the gates of a recorded experiment are those of its job"
    code = job.resume()
    job.check(code)
    made = sum(job.made.values())
    assert len(job.project.phoenix.experiments.runs[job.experiment_id]) == made
    stopping = job.project.results["experiments"][0]["stopping"]
    if stopping is not None:
        assert stopping["seen"] * stopping["rounds"] + stopping["beyond"] == made
    if code == 0 and job.is_whole_at_last:
        assert (stopping, made) == (None, job.runs)
