"""Experiments are created, resumed and shared on exactly the dataset, with exactly the runs that are known."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from recording_seams import (
    DATASET,
    EXAMPLES,
    LATER,
    NOW,
    FakeJournal,
    FakePhoenix,
    evaluation,
    experiment,
    opened,
    run,
)

from evalwire.errors import DatasetChanged, ExperimentNotFound, PhoenixError, UsageError
from evalwire.model import (
    CREATION_KEY,
    FACTS_KEY,
    BaselineScore,
    Failure,
    JobSpec,
    OutputSource,
    StoppingRules,
    UploadedVersion,
    Variant,
    data_digest,
    own_metadata,
    start_time_of,
)
from evalwire.model.selection import ExampleSelection
from evalwire.model.shard import Shard, Sharing
from evalwire.recording import (
    CreateExperiments,
    FindSharedExperiments,
    PastDataset,
    PastExperiment,
    ResumeExperiments,
    ScoreExperiments,
    ShareExperiments,
    past_experiment,
    past_of_runs,
)
from evalwire.recording.journal.lines import RunLine

FIRST, SECOND = Shard(1, 2), Shard(2, 2)
FAILED = Failure(kind="user", stage="evaluator", type="E", message="m")
THEN = datetime(2026, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def phoenix():
    return FakePhoenix()


def creation(phoenix, spec=None):
    return CreateExperiments(phoenix, spec or JobSpec(), FakeJournal(phoenix.asked), now=lambda: THEN)


# --- creation ------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(monkeypatch):
    """A machine whose clock does not show UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
def test_an_experiment_is_written_to_the_journal_then_created_then_written_with_its_id(phoenix):
    spec = JobSpec(prefix="p", split="s", dataset_version="V7", repetitions=3, metadata={"by": "me", "run_by": "ci"})
    found = creation(phoenix, spec).open(experiment())
    name = "p_set_2026-01-02T03:04:05Z"
    assert phoenix.asked == [
        ("fetch", "set", "s", "V7"),
        ("creating", name),
        ("create", 8, name, 3, False),
        ("opened", "E1", "http://phoenix/D/E1", "P-E1"),
    ]
    assert (found.id, found.url, found.project_name) == ("E1", "http://phoenix/D/E1", "P-E1")
    assert (found.recorded_name, found.repetitions, found.experiment) == (name, 3, experiment())
    assert [(each.id, each.splits) for each in found.dataset.examples] == [(f"q{n}", ("known",)) for n in range(8)]
    metadata = dict(phoenix.records["E1"]["metadata"])
    assert found.metadata == metadata
    facts = metadata.pop(FACTS_KEY)
    assert len(metadata.pop(CREATION_KEY)) == 32
    assert metadata == {"dataset": "set", "run_by": "ci", "by": "me"}
    assert creation(phoenix).open(experiment()).metadata["run_by"] == "evalwire"
    assert (facts["experiment"], facts["prefix"], facts["split"], facts["repetitions"]) == ("sums", "p", "s", 3)
    assert facts["data"] == data_digest(DATASET)
    assert abs(start_time_of(found.metadata) - datetime.now(UTC)) < timedelta(minutes=1)
    assert not {"partial", "source", "shards", "job", "claim"} & facts.keys()


def test_two_experiments_have_keys_of_their_own(phoenix):
    one, other = (creation(phoenix).open(experiment()) for _ in range(2))
    assert one.metadata[CREATION_KEY] != other.metadata[CREATION_KEY]


def test_a_variant_is_named_in_the_name(phoenix):
    variant = Variant(name="fast", directory="sums")
    assert creation(phoenix).open(experiment(variant=variant)).recorded_name == "eval_set@fast_2026-01-02T03:04:05Z"


SOURCE = OutputSource(
    facts={"experiment": "E0"}, version_id="V3", split="s", repetitions=4, task_files={}, selection={"ids": ["q2"]}
)


@pytest.mark.parametrize(
    ("spec", "claim", "facts"),
    [
        (
            JobSpec(selection=ExampleSelection(ids=("q2", "q4"))),
            None,
            {"partial": {"ids": ["q2", "q4"], "examples": 2, "of": 8}},
        ),
        (
            JobSpec(selection=ExampleSelection(failing={"sums": ("q2",), "other": ("q1", "q4")})),
            None,
            {"partial": {"failing": {"sums": ["q2"]}, "examples": 1, "of": 8}},
        ),
        (
            JobSpec(sources={"sums": SOURCE}),
            None,
            {"source": {"experiment": "E0"}, "partial": {"ids": ["q2"], "examples": 1, "of": 8}, "repetitions": 4},
        ),
        (JobSpec(sources={"other": SOURCE}), None, {"repetitions": 1}),
        (JobSpec(sharing=Sharing(total=2, job="evals")), "c", {"shards": 2, "job": "evals", "claim": "c"}),
    ],
)
def test_the_metadata_have_what_distinguishes_a_run_from_a_whole_run(phoenix, spec, claim, facts):
    found = own_metadata(creation(phoenix, spec).create_new(experiment(), claim=claim).metadata)
    special = {"partial", "source", "shards", "job", "claim"}
    assert special & found.keys() == special & facts.keys()
    assert {key: found[key] for key in facts} == facts
    assert found["experiment"] == "sums"


def test_a_scored_experiment_is_on_the_version_and_split_of_its_source(phoenix):
    found = creation(phoenix, JobSpec(sources={"sums": SOURCE}, split="other")).open(experiment())
    assert phoenix.asked[0] == ("fetch", "set", "s", "V3")
    assert ([each.id for each in found.dataset.examples], found.repetitions) == (["q2"], 4)


@pytest.mark.parametrize(
    ("examples", "spec"),
    [
        ((), JobSpec()),
        ((), JobSpec(sharing=Sharing(total=2, shard=FIRST))),
        (EXAMPLES, JobSpec(selection=ExampleSelection(ids=("none",)))),
    ],
)
def test_an_experiment_without_examples_is_not_created(phoenix, examples, spec):
    phoenix.dataset = replace(DATASET, examples=examples)
    found = creation(phoenix, spec).open(experiment())
    assert (found.id, tuple(found.dataset.examples), found.is_empty_part) == (None, (), False)
    assert [asked[0] for asked in phoenix.asked] == ["fetch"]
    assert tuple(creation(phoenix, spec).create_new(experiment()).dataset.examples) == ()


def test_each_shard_has_its_part_of_the_experiment_which_is_created_on_the_whole_dataset(phoenix, caplog):
    caplog.set_level(logging.INFO)
    shards = [Shard(number, 3) for number in (1, 2, 3)]
    specs = [JobSpec(sharing=Sharing(total=3, shard=shard)) for shard in shards]
    parts = [creation(phoenix, spec).open(experiment()) for spec in specs]
    assert [asked[1] for asked in phoenix.asked if asked[0] == "create"] == [8] * 3
    assert [part.shard for part in parts] == shards
    ids = [[each.id for each in part.dataset.examples] for part in parts]
    assert sorted(id_ for own in ids for id_ in own) == [each.id for each in EXAMPLES]
    assert all(own == sorted(own) for own in ids)
    assert sorted(map(len, ids)) == [2, 3, 3]
    assert caplog.messages == [
        f"shard {shard} of sums: {len(own)} of 8 examples" for shard, own in zip(shards, ids, strict=True)
    ]


def test_a_shard_of_a_selection_is_dealt_from_the_selected_examples(phoenix):
    selection = ExampleSelection(ids=("q0", "q1", "q2", "q3"))
    parts = [
        creation(phoenix, JobSpec(selection=selection, sharing=Sharing(total=2, shard=shard))).open(experiment())
        for shard in (FIRST, SECOND)
    ]
    assert [len(part.dataset.examples) for part in parts] == [2, 2]
    assert sorted(each.id for part in parts for each in part.dataset.examples) == ["q0", "q1", "q2", "q3"]


@pytest.mark.parametrize(
    ("split", "said"), [(None, "same examples\\.\n"), ("s", "same examples in the split 's'\\.\n")]
)
def test_examples_that_the_job_did_not_upload_are_refused(phoenix, split, said):
    same = UploadedVersion(id="V5", data=data_digest(DATASET))
    creation(phoenix, JobSpec(uploaded={"set": same})).open(experiment())
    assert phoenix.asked[0] == ("fetch", "set", None, "V5")
    creation(phoenix, JobSpec(uploaded={"other": replace(same, data="x")})).open(experiment())
    phoenix.asked.clear()
    with pytest.raises(DatasetChanged, match=f"^set: the version V5 that this job uploaded .* {said}.*`evalwire run`"):
        creation(phoenix, JobSpec(uploaded={"set": replace(same, data="x")}, split=split)).open(experiment())
    assert [asked[0] for asked in phoenix.asked] == ["fetch"]


# --- resumption ----------------------------------------------------------------------------------------

DATASET_THEN = PastDataset(id="D", name="set", version_id="V1", examples=8, split="s")


def past(*runs, **fields):
    given = {
        "dataset": DATASET_THEN,
        "recorded_name": "eval_set_then",
        "metadata": {CREATION_KEY: "k"},
        "repetitions": 2,
        "id": "E1",
        "runs": {each.key: RunLine.of(each, experiment="sums") for each in runs},
        "evaluations": {each.key: {one.evaluator: [one] for one in each.evaluations} for each in runs},
        **fields,
    }
    return PastExperiment(experiment="sums", **given)


def resumption(phoenix, earlier=None, *, spec=None, **options):
    spec = spec or JobSpec()
    return ResumeExperiments(
        phoenix,
        spec,
        FakeJournal(phoenix.asked),
        creation=creation(phoenix, spec),
        past={} if earlier is None else {"sums": earlier},
        **options,
    )


def recorded(phoenix, **fields):
    """Put the experiment of `past` into Phoenix."""
    phoenix.records["E1"] = {
        "id": "E1",
        "dataset_id": "D",
        "dataset_version_id": "V1",
        "name": "eval_set_then",
        "metadata": {CREATION_KEY: "k"},
        "repetitions": 2,
        "example_count": 8,
        "project_name": "P",
        **fields,
    }


@pytest.mark.parametrize("earlier", [None, PastExperiment(experiment="sums", repetitions=9)])
def test_an_experiment_that_never_started_is_created(phoenix, earlier):
    found = resumption(phoenix, earlier).open(experiment())
    assert [asked[0] for asked in phoenix.asked] == ["fetch", "creating", "create", "opened"]
    assert (found.id, found.repetitions, found.earlier) == ("E1", 1, {})


def test_an_experiment_without_a_known_id_adopts_what_an_earlier_process_created(phoenix):
    """Its journal has no runs, which would need the ID."""
    found = resumption(phoenix, past(id=None)).open(experiment())
    assert phoenix.asked == [
        ("fetch_version", "D", "V1", "s"),
        ("create", 8, "eval_set_then", 2, True),
        ("opened", "E1", "http://phoenix/D/E1", "P-E1"),
    ]
    assert (found.id, found.metadata, found.experiment) == ("E1", {CREATION_KEY: "k"}, experiment())
    assert {each.splits for each in found.dataset.examples} == {("known",)}


@pytest.mark.parametrize(("known", "project"), [(None, "P"), ("own", "own")])
def test_a_recorded_experiment_is_continued_on_its_version(phoenix, known, project, caplog):
    caplog.set_level(logging.INFO)
    recorded(phoenix)
    phoenix.found = [run(id="R")]
    found = resumption(phoenix, past(project_name=known)).open(experiment())
    assert phoenix.asked == [
        ("fetch_version", "D", "V1", "s"),
        ("find", "E1"),
        ("creating", "eval_set_then"),
        ("opened", "E1", "http://phoenix/D/E1", project),
        ("read", "E1", 8),
    ]
    assert (found.id, found.url, found.project_name) == ("E1", "http://phoenix/D/E1", project)
    assert (found.recorded_name, found.repetitions, found.metadata) == ("eval_set_then", 2, {CREATION_KEY: "k"})
    assert (len(found.earlier), caplog.messages) == (1, [])


@pytest.mark.parametrize(("rules", "is_kept"), [(StoppingRules(), True), (None, False)])
def test_an_early_verdict_is_kept_by_a_job_that_may_end_early_and_forgotten_by_a_whole_run(phoenix, rules, is_kept):
    recorded(phoenix)
    facts = {"outcome": "passed", "stopping": {"seen": 3}}
    earlier = past(metadata={CREATION_KEY: "k", FACTS_KEY: facts})
    found = resumption(phoenix, earlier, spec=JobSpec(stopping=rules)).open(experiment())
    assert found.metadata[FACTS_KEY] == (facts if is_kept else {"outcome": "passed"})


def test_a_shard_is_continued_with_its_own_runs_only(phoenix, caplog):
    caplog.set_level(logging.INFO)
    recorded(phoenix)
    phoenix.found = [run(n, id=f"R{n}") for n in range(8)]
    spec = JobSpec(sharing=Sharing(total=2, shard=FIRST))
    found = resumption(phoenix, past(), spec=spec).open(experiment())
    assert found.shard == FIRST
    assert [key for key, _ in found.earlier] == [each.node_id for each in found.dataset.examples]
    assert len(found.earlier) == 4
    assert "sums: 4 runs of this shard are already recorded" in caplog.messages


@pytest.mark.parametrize(
    ("dataset", "error", "said"),
    [
        (
            replace(DATASET, name="another"),
            UsageError,
            "the dataset D on this Phoenix server is 'another', not 'set': .*PHOENIX_ENDPOINT",
        ),
        (
            replace(DATASET, examples=EXAMPLES[:7]),
            PhoenixError,
            "version V1 of the dataset 'set' has 7 examples, but had 8 .*`evalwire run`",
        ),
    ],
)
def test_another_dataset_is_refused_before_anything_is_recorded(phoenix, dataset, error, said):
    recorded(phoenix)
    phoenix.dataset = dataset
    with pytest.raises(error, match=f"^{said}"):
        resumption(phoenix, past()).open(experiment())
    assert [asked[0] for asked in phoenix.asked] == ["fetch_version"]


@pytest.mark.parametrize("other", [{"name": "another"}, {"metadata": {CREATION_KEY: "x"}}, {"metadata": None}])
@pytest.mark.parametrize("is_shared", [False, True])
def test_an_id_that_belongs_to_another_experiment_is_refused(phoenix, other, is_shared):
    recorded(phoenix, **other)
    spec = JobSpec(sharing=Sharing(total=2, shard=FIRST)) if is_shared else JobSpec()
    error, said = (ExperimentNotFound, "is now ") if is_shared else (UsageError, "is ")
    name = phoenix.records["E1"]["name"]
    with pytest.raises(error, match=f"the experiment E1 on this Phoenix server {said}'{name}'") as raised:
        resumption(phoenix, past(), spec=spec).open(experiment())
    assert ("--fresh" if is_shared else "PHOENIX_ENDPOINT") in str(raised.value)
    assert [asked[0] for asked in phoenix.asked] == ["fetch_version", "find"]


def test_a_deleted_experiment_is_created_again_with_the_runs_of_the_journal(phoenix, caplog):
    earlier = past(run(3, evaluations=(evaluation(),)))
    found = resumption(phoenix, earlier).open(experiment())
    assert [asked[0] for asked in phoenix.asked] == ["fetch_version", "find", "create", "opened"]
    assert phoenix.asked[2] == ("create", 8, "eval_set_then", 2, True)
    assert found.earlier == {("N3", 1): replace(run(3, evaluations=(evaluation(),)), example=found.dataset.examples[3])}
    (said,) = caplog.messages
    assert said.startswith("no experiment E1\n")
    assert "created again" in said


def test_a_deleted_shared_experiment_is_refused(phoenix):
    with pytest.raises(ExperimentNotFound, match=r"no experiment E1\n.*--fresh"):
        resumption(phoenix, past(), spec=JobSpec(sharing=Sharing(total=2, shard=FIRST))).open(experiment())


# --- the runs of the journal and of Phoenix --------------------------------------------------------------


def resumed(phoenix, journal, found, *, evaluators=("exact",), **options):
    """The single earlier run of a resumed experiment; None for none."""
    recorded(phoenix)
    phoenix.found = [] if found is None else [found]
    earlier = past(*([] if journal is None else [journal]))
    known = resumption(phoenix, earlier, **options).open(experiment(evaluators=evaluators)).earlier
    assert len(known) <= 1
    return next(iter(known.values()), None)


@pytest.mark.parametrize(
    ("journal", "found", "id_"),
    [
        (run(), None, None),
        (run(), run(id="R"), "R"),
        (run(output={"a": 1}), run(output={"a": 2}, id="R"), None),
        (run(output=1), run(output=True, id="R"), None),
        (run(output=None), run(output=None, failure=FAILED, id="R"), None),
        (run(output=None, failure=FAILED), run(output=None, failure=replace(FAILED, message="x"), id="R"), "R"),
        (None, run(id="R"), "R"),
        (None, None, None),
    ],
)
def test_a_run_has_the_id_of_the_record_with_its_output(phoenix, journal, found, id_):
    """The journal's run is the one that counts, with everything that Phoenix does not have."""
    one = resumed(phoenix, journal, found)
    assert (one and one.id) == id_
    if journal is not None:
        assert (one.output, one.failure) == (journal.output, journal.failure)


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"metadata": {"other": 1}, "attempts": 3}, True),
        ({"score": 0.25}, False),
        ({"label": "x"}, False),
        ({"explanation": "x"}, False),
        ({"kind": "bool"}, False),
        ({"score": None, "failure": FAILED}, False),
        (None, False),
    ],
)
def test_an_evaluation_has_the_id_of_the_record_with_its_result(phoenix, changes, is_same):
    scored = BaselineScore(experiment_id="E0", score=1.0)
    there = [] if changes is None else [evaluation(**{"id": "A", "baseline_score": scored, **changes})]
    others = (evaluation("second", id="B"),)
    one = resumed(
        phoenix, run(evaluations=(evaluation(), evaluation("second"))), run(id="R", evaluations=(*there, *others))
    )
    first, second = one.evaluations
    assert (first.id, first.baseline_score) == (("A", scored) if is_same else (None, None))
    assert (second.id, one.id) == ("B", "R")
    assert first.score == 0.5


def test_evaluations_of_a_run_that_phoenix_does_not_have_are_sent_again(phoenix):
    one = resumed(phoenix, run(output=1, evaluations=(evaluation(),)), run(output=2, id="R"))
    assert (one.id, [each.id for each in one.evaluations]) == (None, [None])


def test_a_failed_evaluation_is_the_failure_that_phoenix_has(phoenix):
    failed = evaluation(score=None, failure=FAILED)
    there = evaluation(score=None, failure=replace(FAILED, message="as Phoenix has it"), id="A")
    one = resumed(phoenix, run(evaluations=(failed,)), run(id="R", evaluations=(there,)))
    assert (one.evaluations[0].id, one.evaluations[0].failure) == ("A", FAILED)


def test_a_run_that_only_phoenix_has_keeps_evaluations_named_like_an_evaluator(phoenix):
    """The others may be of an evaluator that returned a list, or of a person."""
    there = (evaluation("exact", id="A"), evaluation("by hand", id="B"))
    one = resumed(phoenix, None, run(id="R", evaluations=there))
    assert [each.id for each in one.evaluations] == ["A"]


@pytest.mark.parametrize(
    ("spec", "retries", "kept"),
    [
        (JobSpec(), False, [("failed", []), ("passed", ["exact", "other"])]),
        (JobSpec(), True, [("passed", ["other"])]),
        (JobSpec(sources={"sums": replace(SOURCE, selection=None)}), True, [("failed", []), ("passed", ["other"])]),
    ],
)
def test_failures_are_left_out_on_request_except_of_tasks_that_are_not_called(phoenix, spec, retries, kept):
    recorded(phoenix)
    failed = run(0, output=None, failure=replace(FAILED, stage="task"))
    passed = run(1, evaluations=(evaluation(score=None, failure=FAILED), evaluation("other")))
    earlier = resumption(phoenix, past(failed, passed), spec=spec, retry_failed=retries).open(experiment()).earlier
    assert [
        ("failed" if each.failure else "passed", [one.name for one in each.evaluations]) for each in earlier.values()
    ] == kept


# --- sharing -------------------------------------------------------------------------------------------

SHARING = Sharing(total=2, shard=FIRST, run_key="key", job="evals")


def sharer(phoenix, earlier=None, *, sharing=SHARING, spec=None):
    spec = spec or JobSpec(sharing=sharing)
    finder = FindSharedExperiments(phoenix, spec, run_key="key")
    own = creation(phoenix, spec)
    known = {} if earlier is None else {"sums": earlier}
    resumed = ResumeExperiments(phoenix, spec, FakeJournal(phoenix.asked), creation=own, past=known)
    return ShareExperiments(phoenix, finder=finder, sharing=sharing, creation=own, resumption=resumed, past=known)


def claim_of(spec=None, *, key="key", **fields):
    return FindSharedExperiments(FakePhoenix(), spec or JobSpec(), run_key=key).claim_of(experiment(**fields))


def test_the_first_job_creates_the_experiment_and_claims_it(phoenix):
    found = sharer(phoenix).open(experiment())
    assert [asked[0] for asked in phoenix.asked] == ["holder", "fetch", "creating", "create", "opened", "take"]
    assert phoenix.holders == {claim_of(): "E1"}
    assert own_metadata(found.metadata)["claim"] == claim_of()
    assert (found.id, found.shard, len(found.dataset.examples), found.earlier) == ("E1", FIRST, 4, {})


def test_a_later_job_has_another_part_of_the_same_experiment(phoenix, caplog):
    caplog.set_level(logging.INFO)
    first = sharer(phoenix).open(experiment())
    phoenix.asked.clear()
    phoenix.found = [run(int(first.dataset.examples[0].id[1:]), id="R")]
    second = sharer(phoenix, sharing=replace(SHARING, shard=SECOND)).open(experiment())
    assert "create" not in [asked[0] for asked in phoenix.asked]
    assert (second.id, second.shard, second.recorded_name) == ("E1", SECOND, first.recorded_name)
    assert not {each.id for each in first.dataset.examples} & {each.id for each in second.dataset.examples}
    assert second.earlier == {}
    assert "already recorded" not in caplog.text


def test_of_two_jobs_that_create_the_experiment_the_one_that_comes_second_removes_its_own(phoenix, monkeypatch):
    sharer(phoenix).open(experiment())
    phoenix.asked.clear()
    monkeypatch.setattr(phoenix, "holder", lambda claim: None)
    found = sharer(phoenix, sharing=replace(SHARING, shard=SECOND)).open(experiment())
    assert [asked for asked in phoenix.asked if asked[0] in ("take", "remove", "find")] == [
        ("take", claim_of(), "E2"),
        ("remove", "E2"),
        ("find", "E1"),
        ("find", "E1"),
    ]
    assert (found.id, found.shard) == ("E1", SECOND)


def test_an_experiment_without_examples_is_not_claimed(phoenix):
    phoenix.dataset = replace(DATASET, examples=())
    assert sharer(phoenix).open(experiment()).id is None
    assert phoenix.holders == {}


@pytest.mark.parametrize("is_claimed", [True, False])
def test_an_earlier_attempt_of_the_job_brings_its_runs(phoenix, monkeypatch, is_claimed):
    """Also if the experiment that it had is gone and this attempt creates another."""
    if is_claimed:
        sharer(phoenix).open(experiment())
    first = creation(phoenix, JobSpec(sharing=SHARING)).own_part(opened()).dataset.examples[0]
    n = int(first.id[1:])
    earlier = past(run(n, evaluations=(evaluation(),)), id="E0", repetitions=1)
    found = sharer(phoenix, earlier).open(experiment())
    assert found.id == "E1"
    assert [(key, each.output, len(each.evaluations)) for key, each in found.earlier.items()] == [
        ((f"N{n}", 1), "said", 1)
    ]
    assert ("remove", "E1") not in phoenix.asked


@pytest.mark.parametrize(
    ("facts", "sharing", "said"),
    [
        ({"shards": 3}, SHARING, "sums was divided into 3 shards by another job .* expects 2"),
        ({"shards": None}, SHARING, "sums was divided into None shards"),
        ({"job": "others"}, SHARING, "sums is run by the shards of the job 'others' .* is 'evals'"),
        ({"job": "others"}, replace(SHARING, shard=None), ""),
        ({"job": ""}, SHARING, ""),
        ({"job": "others"}, replace(SHARING, job=""), ""),
    ],
)
def test_jobs_that_divide_an_experiment_differently_are_refused(phoenix, facts, sharing, said):
    sharer(phoenix).open(experiment())
    record = phoenix.records["E1"]
    record["metadata"] = {**record["metadata"], FACTS_KEY: {**record["metadata"][FACTS_KEY], **facts}}
    if not said:
        sharer(phoenix, sharing=sharing, spec=JobSpec(sharing=SHARING)).open(experiment())
        return
    with pytest.raises(UsageError, match=f"^{said}(.|\n)*EVALWIRE_RUN_KEY"):
        sharer(phoenix, sharing=sharing).open(experiment())


def finder(phoenix, **metadata):
    return FindSharedExperiments(phoenix, JobSpec(metadata=metadata), run_key="key")


def test_a_claimed_experiment_is_found_and_an_unclaimed_one_is_none(phoenix):
    assert finder(phoenix).find(experiment()) is None
    phoenix.holders[claim_of()] = "E1"
    metadata = {CREATION_KEY: "k", FACTS_KEY: {"claim": claim_of(), "split": "s"}}
    recorded(phoenix, metadata=metadata)
    assert finder(phoenix).find(experiment()) == PastExperiment(
        experiment="sums",
        dataset=DATASET_THEN,
        recorded_name="eval_set_then",
        metadata=metadata,
        repetitions=2,
        id="E1",
        project_name="P",
    )


def test_a_record_without_metadata_or_project_is_a_past_experiment(phoenix):
    recorded(phoenix, metadata=None)
    del phoenix.records["E1"]["project_name"]
    assert past_experiment(phoenix.records["E1"], "sums", dataset_name="set") == PastExperiment(
        experiment="sums",
        dataset=replace(DATASET_THEN, split=None),
        recorded_name="eval_set_then",
        repetitions=2,
        id="E1",
    )


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (None, "no experiment E1\n"),
        ({FACTS_KEY: {"claim": "another"}}, "the experiment E1 on this Phoenix server is now 'eval_set_then'\\.\n"),
        ({}, "the experiment E1 on this Phoenix server is now 'eval_set_then'\\.\n"),
    ],
)
def test_a_claim_of_a_deleted_or_replaced_experiment_is_refused(phoenix, metadata, said):
    phoenix.holders[claim_of()] = "E1"
    if metadata is not None:
        recorded(phoenix, metadata=metadata)
    with pytest.raises(ExperimentNotFound, match=f"^{said}.*--fresh"):
        finder(phoenix).find(experiment())


@pytest.mark.parametrize(
    ("before", "now", "is_refused"),
    [
        ({"commit": "a"}, {"commit": "a"}, False),
        ({"commit": "a"}, {"commit": "b"}, True),
        ({"commit": "a"}, {}, False),
        ({}, {"commit": "b"}, False),
        ({"commit": "a"}, {"commit": "b", "ci": "jenkins"}, True),
        ({"commit": "a"}, {"commit": "b", "pull_request": "7"}, True),
        ({"commit": "a"}, {"commit": "b", "ci": "jenkins", "pull_request": "7"}, False),
    ],
)
def test_an_experiment_of_another_commit_is_refused(phoenix, before, now, is_refused):
    """Jenkins merges a pull request anew on each agent, so its shards have different commits."""
    phoenix.holders[claim_of()] = "E1"
    recorded(phoenix, metadata={**before, FACTS_KEY: {"claim": claim_of()}})
    if not is_refused:
        assert finder(phoenix, **now).find(experiment()).id == "E1"
        return
    with pytest.raises(UsageError, match=r"^sums was started at commit a .* is b: (.|\n)*EVALWIRE_RUN_KEY"):
        finder(phoenix, **now).find(experiment())


def test_a_claim_is_the_same_in_all_jobs_and_another_for_whatever_differs(tmp_path):
    def with_file(text):
        path = tmp_path / "exact.py"
        path.write_text(text)
        (one,) = experiment().evaluators
        return replace(one, path=path)

    def claim(task=None, evaluator=None):
        own = replace(experiment(), task=task, evaluators=(evaluator or with_file("1"),))
        return FindSharedExperiments(FakePhoenix(), JobSpec(), run_key="key").claim_of(own)

    one, other = UploadedVersion(id="V1", data="x"), UploadedVersion(id="V2", data="x")
    fast = Variant(name="fast", directory="sums", env={"B": "1", "A": "2"})
    same = [
        claim_of(),
        claim_of(JobSpec(sharing=SHARING, metadata={"commit": "a"}, gates=("g",))),
        claim_of(JobSpec(uploaded={"other": one})),
    ]
    different = [
        claim_of(key="other"),
        claim_of(name="other"),
        claim_of(JobSpec(prefix="p")),
        claim_of(JobSpec(split="s")),
        claim_of(JobSpec(repetitions=2)),
        claim_of(JobSpec(dataset_version="V1")),
        claim_of(JobSpec(uploaded={"set": one})),
        claim_of(variant=fast),
        claim_of(variant=replace(fast, env={"A": "2", "B": "2"})),
        claim_of(evaluators=("exact", "other")),
        FindSharedExperiments(FakePhoenix(), JobSpec(), run_key="key").claim_of(
            replace(experiment(), dataset_name="other")
        ),
        claim(),
        claim(evaluator=with_file("2")),
        claim(task=with_file("1")),
        claim(task=with_file("2"), evaluator=with_file("2")),
    ]
    assert len(set(same)) == 1
    assert len({*same, *different}) == len(different) + 1
    assert claim_of(JobSpec(uploaded={"set": one})) == claim_of(JobSpec(uploaded={"set": other}))
    assert claim_of(evaluators=("a", "b")) == claim_of(evaluators=("b", "a"))
    assert claim_of(variant=fast) == claim_of(variant=replace(fast, env={"A": "2", "B": "1"}))
    assert all(each.startswith("evalwire-claim-") and len(each) == 47 for each in same + different)


# --- scoring -------------------------------------------------------------------------------------------


def test_scored_experiments_have_a_run_for_each_repetition_of_each_example(phoenix):
    """Recorded again, then recorded before, then a failure."""
    known = past_of_runs("sums", [run(0, attempts=3), run(1, repetition=2), run(2)], repetitions=2)
    assert (known.experiment, known.repetitions, known.evaluations) == ("sums", 2, {})
    assert {line.experiment for line in known.runs.values()} == {"sums"}
    again = run(0, id="R", evaluations=(evaluation(id="A"),))

    class Opener:
        def open(self, experiment):
            part = replace(DATASET, examples=EXAMPLES[:3])
            return opened(experiment=experiment, dataset=part, repetitions=2, earlier={again.key: again})

    found = ScoreExperiments(Opener(), {"sums": known}).open(experiment())
    assert (found.id, found.experiment) == ("E1", experiment())
    assert set(found.earlier) == {(f"N{n}", repetition) for n in range(3) for repetition in (1, 2)}
    assert found.earlier["N0", 1] == again
    assert found.earlier["N1", 2] == run(1, repetition=2)
    assert found.earlier["N2", 1] == run(2)
    missing = {key: each for key, each in found.earlier.items() if each.failure}
    assert set(missing) == {("N0", 2), ("N1", 1), ("N2", 2)}
    for (node_id, repetition), each in missing.items():
        assert (each.example.node_id, each.repetition, each.output, each.usage) == (node_id, repetition, None, ())
        assert (each.failure.kind, each.failure.stage, each.failure.type) == ("evalwire", "task", "NoOutput")
        assert "no output" in each.failure.message
        assert each.seconds == 0
        assert each.start_time > LATER > NOW
