"""The journal keeps everything that a job is and returned; and its file, for every way to open it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import reporting
from recording_seams import DATASET, EXAMPLES, NOW, evaluation, experiment, opened, run

from evalwire.errors import UsageError
from evalwire.model import (
    FACTS_KEY,
    Budget,
    Inputs,
    JobSpec,
    ModelUsage,
    OutputSource,
    StoppingRules,
    UploadedVersion,
)
from evalwire.model.selection import ExampleSelection
from evalwire.model.shard import Shard, Sharing
from evalwire.recording import (
    Journal,
    PastDataset,
    PastExperiment,
    count_runs,
    past_of_runs,
    read_journal,
    unfinished_journal,
)
from evalwire.recording.journal import writer

USAGE = (ModelUsage(model="m", calls=1, prompt_tokens=2, completion_tokens=3, total_tokens=5, cost_usd=0.5),)
SOURCE = OutputSource(
    facts={"experiment": "E0"}, version_id="V3", split="s", repetitions=4, outputs=2, task_files={"t.py": "d"}
)
FULL = JobSpec(
    prefix="p",
    metadata={"by": "me"},
    repetitions=3,
    split="s",
    dataset_version="V7",
    uploaded={"set": UploadedVersion(id="V5", data="d")},
    sources={"sums": SOURCE},
    gates=("g >= 1",),
    baseline="auto",
    selection=ExampleSelection(text="t", ids=("q1",), failing={"sums": ("q1",), "b": None}, sample=3, seed=7),
    sharing=Sharing(total=3, shard=Shard(2, 3), run_key="key"),
    stopping=StoppingRules(risk=0.05, min_examples=7),
)
SCORED = past_of_runs("sums", [run(0, usage=USAGE, repetition=2), run(1, attempts=3)], repetitions=4)


@pytest.fixture
def journal(tmp_path):
    made = Journal.create(tmp_path, now=NOW)
    yield made
    made.close()


def entries(journal):
    return [json.loads(line) for line in journal.path.read_text().splitlines()]


@pytest.mark.parametrize("spec", [JobSpec(), FULL, replace(FULL, sources={}, selection=None, sharing=None)])
def test_every_part_of_a_jobs_specification_comes_back(journal, spec):
    """Also the outputs that it scores, which are for as many repetitions as their source has."""
    journal.begin(spec, [experiment(), experiment("b")], endpoint="http://phoenix", past={"sums": SCORED})
    found = read_journal(journal.path)
    assert found.spec == spec
    assert found.experiments == ["sums", "b"]
    assert found.past == ({"sums": SCORED} if spec.sources else {})
    first, *_ = entries(journal)
    assert (first["type"], first["format"], first["endpoint"]) == ("job", 2, "http://phoenix")


def test_a_job_without_a_shard_keeps_its_run_key(journal):
    journal.begin(JobSpec(sharing=Sharing(total=3, run_key="key")), [])
    first, *_ = entries(journal)
    assert (first["shard"], first["run_key"], first["endpoint"]) == (None, "key", "")
    assert read_journal(journal.path).spec.sharing is None


@pytest.mark.parametrize("budget", [Budget(max_cost_usd=2.5, max_tokens=7, max_seconds=3.5), Budget(max_tokens=7)])
def test_the_last_budget_of_a_job_comes_back(journal, budget):
    journal.begin(JobSpec(), [])
    journal.limit(Budget())
    assert read_journal(journal.path).budget is None
    journal.limit(Budget(max_cost_usd=1.0))
    journal.limit(budget)
    assert read_journal(journal.path).budget == budget


def test_what_evaluators_paid_on_outputs_of_the_baseline_comes_back(journal):
    journal.begin(JobSpec(), [])
    journal.paid("sums", USAGE)
    journal.paid("sums", None)
    found = read_journal(journal.path)
    assert (found.use.usage, found.use.times, found.past) == ([("sums", None, USAGE)], [], {})


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("selection", {"ids": 5}, "the journal has an invalid selection: {'ids': 5} does not describe"),
        ("shard", "3/2", "the journal has an invalid shard, '3/2': there is no shard 3 of 2"),
        ("shard", "two", "the journal has an invalid shard, 'two': expected the form"),
    ],
)
def test_a_selection_or_a_shard_that_is_none_is_refused(journal, field, value, said):
    journal.begin(JobSpec(), [])
    (first,) = entries(journal)
    journal.path.write_text(json.dumps({**first, field: value}) + "\n")
    with pytest.raises(UsageError, match=f"^{said}"):
        read_journal(journal.path)


def test_every_part_of_a_run_comes_back(journal):
    failed = run(
        1, output=None, failure=reporting.failure(), lossy_output={"a": "<x>"}, usage=None, repetition=2, trace_id="t"
    )
    scored = evaluation(usage=USAGE, attempts=2, kind="bool", label="True", explanation="e", metadata={"k": [1]})
    passed = run(0, usage=USAGE, evaluations=(scored,))
    journal.begin(JobSpec(repetitions=2), [experiment()])
    journal.creating(opened(repetitions=2))
    for each in (failed, passed, replace(run(2), repetition=3)):
        journal.returned(opened(), each)
    journal.evaluated(opened(), passed, [scored])
    found = read_journal(journal.path).past["sums"].runs_on(EXAMPLES, others={})
    assert found == {("N0", 1): passed, ("N1", 2): failed}, "no further repetition was asked for"


def test_an_experiment_is_known_by_everything_that_phoenix_said_of_it(journal):
    given = opened(
        dataset=replace(DATASET, split="s"), url="http://phoenix/E1", project_name="P", repetitions=2, metadata={"k": 1}
    )
    expected = PastExperiment(
        experiment="sums",
        dataset=PastDataset(id="D", name="set", version_id="V1", examples=8, split="s"),
        recorded_name="eval_set_then",
        metadata={"k": 1},
        repetitions=2,
        id="E1",
        url="http://phoenix/E1",
        project_name="P",
    )
    journal.begin(JobSpec(), [experiment()])
    journal.creating(given)
    journal.opened(given)
    assert read_journal(journal.path).past == {"sums": expected}
    assert PastExperiment.of(given) == expected


def test_files_that_were_read_are_in_the_metadata_beside_the_other_facts(journal):
    inputs = Inputs(task={"a.py": "1"}, evaluators={"exact": {"b.py": "2"}})
    journal.begin(JobSpec(), [experiment()])
    journal.creating(opened(metadata={"k": 1, FACTS_KEY: {"split": "s", "inputs": "old"}}))
    journal.read(opened(), inputs)
    past = read_journal(journal.path).past["sums"]
    assert past.metadata == {"k": 1, FACTS_KEY: {"split": "s", "inputs": inputs.to_json()}}


def test_whatever_the_metadata_have_is_text_that_a_person_can_read(journal):
    journal.begin(JobSpec(metadata={"path": Path("/x"), 1: "ü"}), [])
    assert read_journal(journal.path).spec.metadata == {"path": "/x", "1": "ü"}
    assert "ü".encode() in journal.path.read_bytes()


def test_the_end_is_the_last_line_with_the_outcome(journal):
    journal.begin(JobSpec(), [])
    journal.end("errors", 1)
    assert entries(journal)[-1] == {"type": "end", "outcome": "errors", "exit_code": 1}
    assert read_journal(journal.path).past == {}


def test_each_damaged_line_counts(journal):
    journal.begin(JobSpec(), [experiment()])
    with journal.path.open("a") as file:
        file.write('{"type\n' * 3)
    journal.returned(opened(), run())
    found = read_journal(journal.path)
    assert (found.damaged, len(found.past["sums"].runs)) == (3, 1)


def test_runs_are_counted_once_whatever_else_is_in_the_file(journal):
    journal.begin(JobSpec(), [experiment()])
    for name in ("sums", "b"):
        for each in (run(0), run(0, output="again"), run(0, repetition=2), run(1)):
            journal.returned(opened(experiment=experiment(name)), each)
    with journal.path.open("ab") as file:
        file.write(b'{"type": "run", "attempts": "many"}\n\xff\n{"torn')
    assert count_runs(journal.path) == 6
    with pytest.raises(OSError, match="No such file"):
        count_runs(journal.path.with_name("missing"))


# --- the file ------------------------------------------------------------------------------------------


def test_a_journal_is_whole_until_a_line_is_lost(tmp_path, journal):
    journal.begin(JobSpec(), [])
    assert journal.is_whole is True
    full = Journal(tmp_path / "full", os.open("/dev/full", os.O_WRONLY | os.O_APPEND))
    assert full.is_whole is True
    full.end("passed", 0)
    assert full.is_whole is False


def test_nobody_else_can_read_the_file_at_any_time(tmp_path, monkeypatch):
    """Not even before its mode is set, whatever the umask leaves."""
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    before = os.umask(0)
    try:
        journal = Journal.create(tmp_path, now=NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    journal.close()


def test_a_second_has_a_thousand_journals_at_most(tmp_path):
    for number in range(999):
        (tmp_path / f"journal_20260102T030405Z{f'_{number:03}' if number else ''}.jsonl").touch()
    last = Journal.create(tmp_path, now=NOW)
    last.close()
    assert last.path.name == "journal_20260102T030405Z_999.jsonl"
    with pytest.raises(FileExistsError, match=f"^{tmp_path} already has 1,000 journals"):
        Journal.create(tmp_path, now=NOW)


def test_another_process_of_the_job_writes_to_its_journal(journal):
    journal.begin(JobSpec(), [experiment()])
    joined = Journal.join(journal.path)
    joined.returned(opened(), run())
    joined.close()
    journal.end("passed", 0)
    assert (joined.path, joined.is_whole, count_runs(journal.path)) == (journal.path, True, 1)
    assert entries(journal)[-1]["type"] == "end"


def test_a_journal_that_cannot_be_joined_is_told_and_ends_nothing(tmp_path, caplog):
    path = tmp_path / "missing"
    joined = Journal.join(path)
    joined.end("passed", 0)
    joined.close()
    (said,) = caplog.messages
    assert said.startswith(f"the journal {path} cannot be opened ([Errno 2] No such file")
    assert (joined.path, joined.is_whole, joined.is_empty, path.exists()) == (path, False, False, False)


def test_a_reopened_journal_is_continued(journal):
    """Also if its only line has no end: a complete line is kept."""
    journal.begin(JobSpec(), [experiment()])
    journal.close()
    journal.path.write_bytes(journal.path.read_bytes().removesuffix(b"\n"))
    again, past = Journal.reopen(journal.path)
    again.returned(opened(), run())
    again.close()
    assert (again.path, past.experiments, count_runs(journal.path)) == (journal.path, ["sums"], 1)
    assert journal.path.read_bytes().count(b"\n") == 2


def test_a_forked_process_writes_nothing(journal, caplog):
    journal.begin(JobSpec(), [])
    before = journal.path.read_bytes()
    writer._close_in_child()
    journal.end("passed", 0)
    journal.forget()
    journal.close()
    assert (journal.path.read_bytes(), caplog.messages) == (before, [])


def test_a_file_system_without_locks_has_journals_all_the_same(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refused)
    journal = Journal.create(tmp_path, now=NOW)
    journal.begin(JobSpec(), [])
    journal.close()
    assert unfinished_journal(tmp_path) == journal.path
    again, _ = Journal.reopen(journal.path)
    again.end("passed", 0)
    again.close()
    assert unfinished_journal(tmp_path) is None
