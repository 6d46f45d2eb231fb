"""The journal: what was paid for outlives a kill, a torn line, damage, a full disk, and a second writer."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evalwire.errors import UsageError
from evalwire.model import JobSpec
from evalwire.model.example import Dataset, Example
from evalwire.model.experiment import Experiment, OpenExperiment
from evalwire.model.failure import Failure
from evalwire.model.run import Evaluation, TaskRun
from evalwire.recording.journal import writer as journal
from evalwire.recording.journal.earlier import newest_journal, unfinished_journal
from evalwire.recording.journal.past import PastDataset
from evalwire.recording.journal.reader import read_journal
from evalwire.recording.journal.writer import Journal, _lock

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1.5)
EXAMPLES = tuple(
    Example(id=f"own {n}", node_id=f"node {n}", input={"q": n}, output={"a": n}, metadata={}) for n in range(3)
)
FAILURE = Failure(
    kind="user",
    stage="task",
    type="KeyError",
    message="half a pair: \ud800",
    cause="c",
    where="task.py:3",
    traceback="T\n  t\n",
)


def opened(*, id_: str | None = "E1", repetitions: int = 2, name: str = "sums") -> OpenExperiment:
    return OpenExperiment(
        experiment=Experiment(name=name, dataset_name="set", path=Path("/p/experiments/sums"), task=None),
        dataset=Dataset(id="D", name="set", version_id="V", examples=EXAMPLES),
        recorded_name="eval_set_2026",
        id=id_,
        url="http://phoenix/D/E1",
        project_name="Experiment-1",
        metadata={"evalwire_key": "k", "when": NOW, "ü": "ß"},
        repetitions=repetitions,
    )


def a_run(example: int = 0, *, repetition: int = 1, **fields) -> TaskRun:
    given = {"output": "said", "failure": None, "trace_id": "t1", "attempts": 3, **fields}
    return TaskRun(example=EXAMPLES[example], repetition=repetition, start_time=NOW, end_time=LATER, **given)


def a_verdict(name: str = "exact", **fields) -> Evaluation:
    given = {"evaluator": "exact", "score": 0.5, **fields}
    return Evaluation(name=name, start_time=NOW, end_time=LATER, trace_id="t2", **given)


def begin(folder: Path) -> Journal:
    """A journal with its first two lines."""
    writer = Journal.create(folder, now=NOW)
    never = replace(opened().experiment, name="never")
    writer.begin(JobSpec(metadata={"a": 1}, repetitions=2), [opened().experiment, never])
    writer.creating(opened(id_=None))
    return writer


def whole(folder: Path) -> Path:
    """A journal with lines of every type, the last of them on a run."""
    writer = begin(folder)
    writer.opened(opened())
    writer.returned(opened(), a_run(0))
    writer.evaluated(opened(), a_run(0), [a_verdict()])
    writer.returned(opened(), a_run(1, output={"text": "the last line, mit Ümläut und \U0001f600"}))
    writer.close()
    return writer.path


def read_back(path: Path, **others) -> dict[tuple[str, int], TaskRun]:
    return read_journal(path).past["sums"].runs_on(EXAMPLES, others=others)


# --- every line comes back as it was -------------------------------------------------------------------


def test_the_job_comes_back(tmp_path):
    found = read_journal(whole(tmp_path))
    assert (found.experiments, found.spec.prefix, found.spec.repetitions) == (["sums", "never"], "eval", 2)
    assert found.spec.metadata == {"a": 1}
    assert found.damaged == 0
    past = found.past["sums"]
    assert past.dataset == PastDataset(id="D", name="set", version_id="V", examples=3)
    assert (past.recorded_name, past.repetitions) == ("eval_set_2026", 2)
    assert past.metadata == {"evalwire_key": "k", "when": "2026-01-02T03:04:05.678901Z", "ü": "ß"}
    assert (past.id, past.url, past.project_name) == ("E1", "http://phoenix/D/E1", "Experiment-1")
    assert "never" not in found.past


def test_an_experiment_whose_creation_is_not_known_has_no_id(tmp_path):
    writer = begin(tmp_path)
    past = read_journal(writer.path).past["sums"]
    assert (past.id, past.dataset.id, past.metadata["evalwire_key"]) == (None, "D", "k")


@pytest.mark.parametrize(
    "output",
    [
        None,
        "",
        "ends of lines \n \r \r\n \x0b \x0c \x1c \x85 \u2028 \u2029 and a NUL \0",
        'Zürich 東京 \U0001f600 \\ud800 "quoted"',
        {"nested": [{"a": [1, 2.5, None, True, {"": []}]}], "ü": {}},
        [[[[[]]]]],
        0,
        -0.1,
        10**40,
        1.7976931348623157e308,
        False,
        "x" * 200_000,
    ],
    ids=lambda output: type(output).__name__,
)
def test_an_output_comes_back(tmp_path, output):
    writer = begin(tmp_path)
    writer.returned(opened(), run := a_run(output=output))
    found = read_back(writer.path)
    assert found == {("node 0", 1): run}
    assert type(found["node 0", 1].output) is type(output)


@pytest.mark.parametrize(
    "failure",
    [
        FAILURE,
        Failure(kind="user", stage="task", type="E", message=""),
        Failure(kind="user", stage="task", type="E", message="\udcff lone \udfff halves \ud83d", traceback="\ud800\n"),
    ],
    ids=["with a line and a cause", "bare", "halves of surrogate pairs"],
)
def test_a_failed_run_comes_back(tmp_path, failure):
    writer = begin(tmp_path)
    writer.returned(opened(), run := a_run(1, output=None, failure=failure, attempts=6, trace_id=None))
    assert read_back(writer.path) == {("node 1", 1): run}


def test_evaluations_come_back_with_the_run(tmp_path):
    """Several of one evaluator, others beside it, a failed one; in the order in which they were said."""
    said = [
        a_verdict("precise", evaluator="lists", label="ja ü", explanation="\n", metadata={"cost": 0.1, "n": [1]}),
        a_verdict("recalls", evaluator="lists", score=None, label="l", annotator_kind="LLM", attempts=4),
    ]
    failed = a_verdict("broken", evaluator="broken", score=None, failure=replace(FAILURE, stage="evaluator"))
    writer = begin(tmp_path)
    writer.returned(opened(), a_run())
    writer.evaluated(opened(), a_run(), said)
    writer.evaluated(opened(), a_run(), [failed])
    assert read_back(writer.path) == {("node 0", 1): a_run(evaluations=(*said, failed))}


def test_repetitions_are_kept_apart(tmp_path):
    writer = begin(tmp_path)
    for repetition in (2, 1):
        writer.returned(opened(), a_run(output=repetition, repetition=repetition))
        writer.evaluated(opened(), a_run(repetition=repetition), [a_verdict(score=float(repetition))])
    writer.close()
    found = read_back(writer.path)
    assert {place: (run.output, run.evaluations[0].score) for place, run in found.items()} == {
        ("node 0", 1): (1, 1.0),
        ("node 0", 2): (2, 2.0),
    }


def test_experiments_are_kept_apart(tmp_path):
    writer = begin(tmp_path)
    writer.returned(opened(), a_run(output="of the first"))
    writer.returned(opened(name="never"), a_run(output="of the other"))
    past = read_journal(writer.path).past
    assert past["sums"].runs_on(EXAMPLES, others={})["node 0", 1].output == "of the first"
    assert past["never"].runs_on(EXAMPLES, others={})["node 0", 1].output == "of the other"


def test_a_later_run_replaces_the_earlier_one_with_its_evaluations(tmp_path):
    """A failed run that was tried again owes nothing to the one before."""
    writer = begin(tmp_path)
    writer.returned(opened(), a_run(output="first"))
    writer.evaluated(opened(), a_run(), [a_verdict()])
    writer.returned(opened(), a_run(output="second"))
    assert read_back(writer.path) == {("node 0", 1): a_run(output="second")}


def test_a_later_word_of_an_evaluator_replaces_the_earlier_one(tmp_path):
    writer = begin(tmp_path)
    writer.returned(opened(), a_run())
    for name in ("exact", "other"):
        writer.evaluated(opened(), a_run(), [a_verdict(name, evaluator=name)])
    writer.evaluated(opened(), a_run(), [a_verdict(score=1.0)])
    (run,) = read_back(writer.path).values()
    assert {one.name: one.score for one in run.evaluations} == {"exact": 1.0, "other": 0.5}


def test_lines_of_an_unknown_type_are_skipped(tmp_path):
    """Of an earlier version, which noted ids, or of a later one: no ids come of them, and nothing is damaged."""
    path = whole(tmp_path)
    before = read_back(path)
    recorded = {"experiment": "sums", "example": "node 0", "repetition": 1, "run_id": "R", "evaluation_ids": {}}
    with path.open("a") as file:
        for line in ({"type": "recorded", **recorded}, {"type": "mood", "experiment": "nobody's"}, {"type": "bare"}):
            file.write(json.dumps(line) + "\n")
    found = read_journal(path)
    assert (found.damaged, found.past.keys()) == (0, {"sums"})
    assert read_back(path) == before
    assert all(run.id is None for run in before.values())


def test_a_run_that_only_phoenix_has_counts_where_the_journal_has_none(tmp_path):
    path = whole(tmp_path)
    others = {
        ("node 0", 1): a_run(output="not this one", id="X"),
        ("node 2", 2): a_run(2, repetition=2, output="from Phoenix", id="X"),
        ("node 9", 1): a_run(output="of no example", id="X"),
    }
    found = read_journal(path).past["sums"].runs_on(EXAMPLES, others=others)
    assert {place: run.output for place, run in found.items() if place != ("node 1", 1)} == {
        ("node 0", 1): "said",
        ("node 2", 2): "from Phoenix",
    }


def test_what_was_said_of_a_run_that_only_phoenix_has_is_added_to_it(tmp_path):
    writer = begin(tmp_path)
    writer.evaluated(opened(), a_run(2), [a_verdict("new", evaluator="new")])
    held = a_run(2, id="R", evaluations=(a_verdict("old", evaluator="old", id="recorded"),))
    found = read_journal(writer.path).past["sums"].runs_on(EXAMPLES, others={("node 2", 1): held})
    (run,) = found.values()
    assert [(one.name, one.id) for one in run.evaluations] == [("old", "recorded"), ("new", None)]


def test_lines_of_many_threads_do_not_mix(tmp_path):
    writer = begin(tmp_path)

    def write(number: int) -> None:
        for repetition in range(1, 101):
            writer.returned(opened(repetitions=100), a_run(number, repetition=repetition, output="y" * 5000))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_journal(writer.path)
    assert (len(found.past["sums"].runs), found.damaged) == (300, 0)


# --- torn and damaged lines ----------------------------------------------------------------------------


def test_a_torn_last_line_is_left_out_wherever_it_was_torn(tmp_path):
    """At each byte: reading finds all lines before it, and what is appended after a reopening is found too."""
    path = whole(tmp_path)
    content = path.read_bytes()
    start = content.rstrip(b"\n").rfind(b"\n") + 1
    assert b"the last line" in content[start:]
    torn = tmp_path / "torn.jsonl"
    for size in range(start, len(content) + 1):
        torn.write_bytes(content[:size])
        has_last = size >= len(content) - 1  # the line is whole without its newline
        expected = {("node 0", 1)} | ({("node 1", 1)} if has_last else set())
        found = read_journal(torn)
        assert found.past["sums"].runs.keys() == expected, size
        assert found.damaged == 0, size
        writer, past = Journal.reopen(torn)
        assert past.past["sums"].runs.keys() == expected, size
        writer.returned(opened(), a_run(2, output="afterwards"))
        writer.close()
        again = read_journal(torn)
        assert again.past["sums"].runs.keys() == expected | {("node 2", 1)}, size
        assert again.damaged == 0, size
        assert all(json.loads(line) for line in torn.read_bytes().splitlines()), size


@pytest.mark.parametrize("length", [10, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 300_000])
def test_a_torn_line_of_any_length_is_cut_off(tmp_path, length):
    path = whole(tmp_path)
    before = path.read_bytes()
    path.write_bytes(before + b'{"type": "run", "output": "' + b"z" * length)
    Journal.reopen(path)[0].close()
    assert path.read_bytes() == before


def test_a_journal_that_was_torn_in_its_first_line_is_none(tmp_path):
    path = whole(tmp_path)
    first = path.read_bytes().partition(b"\n")[0]
    for size in range(len(first)):
        path.write_bytes(first[:size])
        with pytest.raises(UsageError, match=path.name):
            read_journal(path)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\x00" * 40,
        b'{"type": "run", "exper',
        b"\xff\xfe\x80 no text at all",
        b'{"type": "run"} {"type": "run"}',
    ],
    ids=["empty", "NULs", "torn", "no UTF-8", "two in one"],
)
def test_a_damaged_line_in_the_midst_is_counted_and_the_others_are_read(tmp_path, damage):
    path = whole(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    at = next(index for index, line in enumerate(lines) if b'"run"' in line)
    path.write_bytes(b"".join([*lines[: at + 1], damage + b"\n", *lines[at + 1 :]]))
    found = read_journal(path)
    assert found.damaged == 1
    assert found.past["sums"].runs.keys() == {("node 0", 1), ("node 1", 1)}
    path.write_bytes(b"".join([*lines[:at], damage + b"\n", *lines[at + 1 :]]))
    found = read_journal(path)
    assert found.damaged == 1
    assert found.past["sums"].runs.keys() == {("node 1", 1)}


@pytest.mark.parametrize(
    "content",
    [
        b"\n",
        b"hello\n",
        b"[]\n",
        b"3\n",
        b'"text"\n',
        b"null\n",
        b"{}\n",
        b'{"type": "run"}\n',
        b'{"type": "job"}\n',
        b"an arbitrary text file\nwithout a newline at its end",
        b'{"type": "run"}',
        b'{\n  "schema_version": 1,\n  "experiments": []\n}\n',
        bytes(range(256)) * 50,
    ],
)
def test_what_is_no_journal_is_refused_by_name(tmp_path, content):
    path = tmp_path / "other.jsonl"
    path.write_bytes(content)
    for reading in (read_journal, Journal.reopen):
        with pytest.raises(UsageError, match=r"other\.jsonl is not an evalwire journal"):
            reading(path)
        assert path.read_bytes() == content, "it is somebody else's file"


@pytest.mark.parametrize("reading", [read_journal, Journal.reopen])
def test_a_journal_of_another_version_is_told_by_its_version(tmp_path, reading):
    path = tmp_path / "old.jsonl"
    path.write_text('{"type": "job", "format": 1, "experiments": [], "prefix": "", "metadata": {}, "repetitions": 1}\n')
    with pytest.raises(UsageError, match=r"old\.jsonl was written by another .* \(format 1; this version reads 2\)"):
        reading(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("failure", 3), ("start_time", "yesterday"), ("repetition", "1"), ("usage", [{"model": 3}]), ("experiment", None)],
)
def test_a_line_with_a_wrong_value_is_told_by_its_number(tmp_path, field, value):
    """By the path of the value, and what to do; never by the name of a Python exception."""
    path = whole(tmp_path)
    lines = path.read_text().splitlines()
    lines[3] = json.dumps({**json.loads(lines[3]), field: value})
    path.write_text("\n".join(lines))
    with pytest.raises(
        UsageError, match=rf"line 4 of the journal .* is damaged: .*{field}.* Remove the line"
    ) as caught:
        read_journal(path)
    assert "Error" not in str(caught.value)
    lines[3] = json.dumps({name: kept for name, kept in json.loads(lines[3]).items() if name != field})
    path.write_text("\n".join(lines))
    with pytest.raises(UsageError, match=f"line 4 .* missing required field `{field}`"):
        read_journal(path)


@pytest.mark.parametrize("reading", [read_journal, Journal.reopen])
def test_an_empty_journal_is_refused_with_what_to_do(tmp_path, reading):
    """Of a job that was killed before anything ran."""
    writer = Journal.create(tmp_path, now=NOW)
    assert writer.is_empty
    writer.close()
    with pytest.raises(UsageError, match=r"is empty: .* `evalwire run`"):
        reading(writer.path)
    assert not begin(tmp_path).is_empty


def test_what_cannot_be_read_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"missing\.jsonl cannot be read: No such file"):
        read_journal(tmp_path / "missing.jsonl")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_journal(tmp_path)
    with pytest.raises(UsageError, match=r"missing\.jsonl cannot be opened: No such file"):
        Journal.reopen(tmp_path / "missing.jsonl")
    with pytest.raises(UsageError, match="cannot be opened: Is a directory"):
        Journal.reopen(tmp_path)
    assert not (tmp_path / "missing.jsonl").exists()


# --- the file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def test_the_file_is_its_owners_alone_whatever_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        writer = begin(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(writer.path.stat().st_mode) == 0o600


def test_each_line_is_in_the_file_when_the_call_returns(tmp_path):
    writer = begin(tmp_path)
    writer.returned(opened(), a_run())
    assert writer.path.read_bytes().count(b"\n") == 3
    assert writer.path.read_bytes().endswith(b"}\n")


def test_journals_of_one_second_do_not_overwrite_each_other(tmp_path):
    first, second = begin(tmp_path), begin(tmp_path)
    assert first.path != second.path
    assert first.path.name == "journal_20260102T030405Z.jsonl"


def test_the_newest_is_the_one_that_was_begun_last_by_its_name(tmp_path):
    """Whichever was written last: an older one that was resumed is not the newest by that."""
    assert newest_journal(tmp_path) is None
    assert newest_journal(tmp_path / "missing") is None
    (tmp_path / "results.json").write_text("{}")
    (tmp_path / "journal.txt").write_text("")
    first, second = begin(tmp_path).path, begin(tmp_path).path
    assert newest_journal(tmp_path) == second
    later = Journal.create(tmp_path, now=LATER).path
    for path, age in ((first, 10), (second, 60), (later, 90)):
        os.utime(path, (NOW.timestamp() - age,) * 2)
    assert newest_journal(tmp_path) == later


def test_a_job_that_did_not_finish_is_found_by_its_journal(tmp_path):
    """Killed, interrupted, or without a Phoenix; not one that is through, runs still, or was never begun."""
    assert unfinished_journal(tmp_path / "missing") is None
    running = begin(tmp_path)
    assert unfinished_journal(tmp_path) is None
    running.close()
    assert unfinished_journal(tmp_path) == running.path
    path = running.path
    whole = path.read_bytes()
    for content, is_unfinished in (
        (b"", False),
        (b"{", True),
        (whole[:-9], True),
        (whole + b'{"type": "end", "outcome": "passed", "exit_code": 0}\n', False),
        (whole + b'{"type": "end", "outcome": "errors", "exit_code": 1}\n', False),
        (whole + b'{"type": "end", "outcome": "interrupted", "exit_code": 130}\n', True),
        (whole + b'{"type": "end", "outcome": "infrastructure", "exit_code": 1}\n', True),
        (whole + b'{"type": "end", "outcome": "passed", "exit_code": 0}\n' + whole, True),
        (whole + b'{"type": "run", "output": "' + b"x" * 100_000 + b'"}\n', True),
        (b"[1]\n", True),
    ):
        path.write_bytes(content)
        assert (unfinished_journal(tmp_path) == path) is is_unfinished, content[-60:]
    Journal.create(tmp_path, now=LATER).close()
    assert unfinished_journal(tmp_path) is None


def test_a_second_writer_is_refused(tmp_path):
    """Two at once would send and pay twice; once the first is done, the second may."""
    writer = begin(tmp_path)
    with pytest.raises(UsageError, match=f"still writing the journal .*{writer.path.name}"):
        Journal.reopen(writer.path)
    writer.close()
    second, _ = Journal.reopen(writer.path)
    with pytest.raises(UsageError, match="still writing"):
        Journal.reopen(writer.path)
    second.close()


def test_what_another_wrote_until_it_let_go_is_read(tmp_path, monkeypatch):
    """Locked first and read then: what it noted meanwhile is not paid for again."""
    path, lock = whole(tmp_path), _lock
    late = path.read_text().splitlines()[-1].replace("node 1", "node 2")

    def locked(descriptor: int, path: Path) -> None:
        with path.open("a") as other:
            other.write(late + "\n")
        lock(descriptor, path)

    monkeypatch.setattr(journal, "_lock", locked)
    writer, past = Journal.reopen(path)
    writer.close()
    assert ("node 2", 1) in past.past["sums"].runs


def test_a_forked_child_does_not_hold_the_lock_nor_write(tmp_path):
    """It may outlive its parent, and what it appends would mix with what a resumption does."""
    writer = begin(tmp_path)
    before = writer.path.read_bytes()
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            writer.returned(opened(), a_run())
            os.write(ready[1], b"x")
            os.read(done[0], 1)
        finally:
            os._exit(0)
    assert os.read(ready[0], 1) == b"x"
    try:
        assert writer.path.read_bytes() == before
        with pytest.raises(UsageError, match="still writing"):
            Journal.reopen(writer.path)
        writer.returned(opened(), a_run())
        writer.close()
        again, past = Journal.reopen(writer.path)
        again.close()
        assert past.past["sums"].runs.keys() == {("node 0", 1)}
    finally:
        os.write(done[1], b"x")
        os.waitpid(child, 0)
        for descriptor in (*ready, *done):
            os.close(descriptor)


def test_what_is_appended_after_the_end_is_dropped(tmp_path):
    """A thread of the recorder may outlive the job; the journal may be another process's by then."""
    writer = begin(tmp_path)
    writer.close()
    before = writer.path.read_bytes()
    writer.returned(opened(), a_run())
    writer.close()
    assert writer.path.read_bytes() == before


# --- a disk that fails ---------------------------------------------------------------------------------


def test_a_full_disk_is_told_once_and_raises_nothing(tmp_path, caplog):
    writer = Journal(tmp_path / "journal.jsonl", os.open("/dev/full", os.O_WRONLY | os.O_APPEND))
    for _ in range(3):
        writer.returned(opened(), a_run())
        writer.evaluated(opened(), a_run(), [a_verdict()])
    writer.close()
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "journal.jsonl cannot be written" in told[0]
    assert "No space left" in told[0]


def test_what_was_written_before_the_disk_was_full_is_read(tmp_path):
    """In a process of its own, whose files may have so many bytes: the last line is torn in its midst."""
    limit = 4000
    code = f"""
        import pathlib, resource, signal, sys
        sys.path[:0] = {[str(Path(__file__).parent), *(str(Path(__file__).parents[1] / part) for part in ("", "support"))]!r}
        import test_journal as t
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        writer = t.begin(pathlib.Path({str(tmp_path)!r}))
        for repetition in range(1, 100):
            writer.returned(t.opened(), t.a_run(repetition=repetition, output="w" * 300))
        print("went on")
    """
    command = [sys.executable, "-B", "-c", textwrap.dedent(code)]  # bytecode that is cut off would stay
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "went on\n", done.stderr
    assert done.stderr.count("cannot be written") == 1
    path = newest_journal(tmp_path)
    assert path.stat().st_size == limit
    assert not path.read_bytes().endswith(b"\n")
    kept = len(read_journal(path).past["sums"].runs)
    assert kept == path.read_bytes().count(b"\n") - 2 > 3
    Journal.reopen(path)[0].close()
    assert path.read_bytes().endswith(b"}\n")


@pytest.mark.needs_phoenix
def test_a_run_whose_disk_is_full_goes_on_and_is_told_so(phoenix_project, make_dataset):
    """The report folder takes the report, but no file of more than 6,000 bytes."""
    name = make_dataset(40)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    phoenix_project.experiment(name)
    done = subprocess.run(
        [sys.executable, "-B", "-m", "evalwire", "run"],
        cwd=phoenix_project.directory,
        env=phoenix_project.environ,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=limit,
    )
    assert done.stderr.count("the job continues without it") == 1, done.stderr
    assert "40 examples, not written: results.json: File too large" in done.stdout, done.stdout
    assert "none failed" in done.stdout
    assert "results.json cannot be written" in done.stderr
    assert done.returncode == 1, "the report that was asked for is not there"


def test_descriptors_are_given_back(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        writer = begin(tmp_path)
        with pytest.raises(UsageError):
            Journal.reopen(writer.path)
        writer.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
