"""`run --upload` in a real Phoenix: a job runs the examples of its own testset, whoever uploads at the same time."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import Project
from evalwire.datasets import upload as uploading
from evalwire.errors import PhoenixError
from evalwire.model import UploadedVersion
from evalwire.model.stored import UploadOrigin
from evalwire.phoenix import Phoenix
from evalwire.phoenix.rest import Rest
from evalwire.recording.create import CreateExperiments
from evalwire.recording.journal import read_journal

pytestmark = pytest.mark.needs_phoenix

FIELDS = ("user_query", "expected_output", "tags", "split")
ECHO = "def task(input): return input['user_query']"
CI = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": "c0ffee", "GITHUB_REF_NAME": "main"}


def write_testset(project: Project, tag: str, questions: Sequence[str], *, splits: Sequence[str] = ()) -> Path:
    path = project.directory / "testset.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [(text, "a", tag, split) for text, split in zip(questions, splits or [""] * len(questions), strict=True)]
        csv.writer(file).writerows([FIELDS, *rows] if splits else [FIELDS[:3], *(row[:3] for row in rows)])
    return path


@pytest.fixture
def tag() -> str:
    return f"sync-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def synced(phoenix_project: Project, tag: str) -> Project:
    """A project with an experiment, and a testset of two questions that was never uploaded."""
    phoenix_project.experiment(tag, task=ECHO)
    phoenix_project.write(
        {"evalwire.toml": '[dataset]\ncsv_path = "testset.csv"\n[experiments]\ntask_concurrency = 4\n'}
    )
    write_testset(phoenix_project, tag, ["q1", "q2"])
    return phoenix_project


def report_of(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.directory / "test-results/results.json").read_text())
    return found["experiments"][0]


def questions_of(project: Project) -> list[str]:
    """The questions of the last run."""
    return sorted(run["output"] for run in report_of(project)["runs"])


def newest_of(client: Any, tag: str) -> list[str]:
    return sorted(one["input"]["user_query"] for one in client.datasets.get_dataset(dataset=tag).examples)


# --- one job -------------------------------------------------------------------------------------------


def test_the_edited_testset_is_uploaded_and_run_with_ids_and_history(synced: Project, client, tag):
    done = synced.run("run", "--upload", **CI)
    assert (done.returncode, done.stderr.splitlines()[0]) == (0, f"dataset {tag}: created, 2 examples")
    first = client.datasets.get_dataset(dataset=tag)
    assert f"version {first.version_id}, testset " in first.description
    assert first.description.endswith(", commit c0ffee, branch main")
    write_testset(synced, tag, ["q2", "q3"])
    done = synced.run("run", EVALWIRE_SYNC="true")
    assert done.stderr.splitlines()[0] == (
        f"dataset {tag}: updated, 2 examples (1 added, 0 changed, 1 removed, 1 unchanged)"
    )
    assert (done.returncode, questions_of(synced)) == (0, ["q2", "q3"])
    nodes = [
        {one["input"]["user_query"]: one["node_id"] for one in found.examples}
        for found in (first, client.datasets.get_dataset(dataset=tag))
    ]
    assert nodes[0]["q2"] == nodes[1]["q2"]
    assert len(client.experiments.list(dataset_id=first.id)) == 2
    done = synced.run("run", "--upload")
    assert done.stderr.splitlines()[0] == f"dataset {tag}: unchanged, 2 examples"
    assert report_of(synced)["dataset"]["version_id"] == client.datasets.get_dataset(dataset=tag).version_id


def test_only_datasets_of_selected_experiments_are_uploaded(synced: Project, client, tag):
    write_testset(synced, f"{tag}|{tag}-b", ["q1"])
    synced.experiment(f"{tag}-c", task=ECHO)
    done = synced.run("run", "--upload", "--name", tag, "--name", f"{tag}-c")
    assert f"testset.csv has no row for the dataset {tag}-c: using the newest version in Phoenix" in done.stderr
    assert (done.returncode, f"has no dataset '{tag}-c'" in done.stdout) == (1, True)
    assert newest_of(client, tag) == ["q1"]
    with pytest.raises(ValueError, match="not found"):
        client.datasets.get_dataset(dataset=f"{tag}-b")


def test_without_an_upload_the_differences_come_first(synced: Project, tag):
    """And `check` warns of them; of a dataset that is the same, nobody says anything."""
    synced.run("upload", **CI)
    assert "testset" not in synced.run("check").stdout
    write_testset(synced, tag, ["q2", "q3", "q4"])
    says = (
        f"testset.csv differs from the dataset {tag}: 2 added, 0 changed, 1 removed, 1 unchanged. Its newest version "
        "was uploaded from branch main (commit c0ffee). Runs use the dataset. To upload the testset first, use "
        "`evalwire run --upload`"
    )
    done = synced.run("run")
    assert (done.returncode, done.stderr.splitlines()[0], questions_of(synced)) == (0, says, ["q1", "q2"])
    done = synced.run("check")
    assert (done.returncode, f"WARN    testset: {says}\n" in done.stdout) == (0, True)
    findings = json.loads(synced.run("check", "--json", EVALWIRE_SYNC="true").stdout)["findings"]
    assert not any(one["warning"] for one in findings), "the next run uploads it"


def test_without_a_testset_a_version_of_another_branch_is_named(synced: Project, tag):
    synced.run("upload", **CI)
    (synced.directory / "testset.csv").unlink()
    branch = {**CI, "GITHUB_REF_NAME": "feature/\x1b[31mx"}
    says = f"the newest version of the dataset {tag} was uploaded from branch main (commit c0ffee)"
    assert synced.run("run", "--dry-run", **branch).stderr.splitlines()[0] == says
    assert says not in synced.run("run", "--dry-run", **CI).stderr


def test_a_testset_or_a_phoenix_that_cannot_be_read_ends_no_run_that_uploads_nothing(synced: Project, tag, monkeypatch):
    synced.run("upload")
    (synced.directory / "testset.csv").write_text("user_query,expected_output,tags\nq,a\n")
    done = synced.run("run", "--dry-run")
    says = "testset.csv cannot be compared with Phoenix, because it has errors: run `evalwire validate`"
    assert (done.returncode, done.stderr.splitlines()[0]) == (0, says)
    assert synced.run("check").stdout.count("testset") == 2, "the finding itself, and nothing of a comparison"
    write_testset(synced, tag, ["q9"])

    def down(*arguments: Any) -> Any:
        raise PhoenixError("gone")

    monkeypatch.setattr(Rest, "newest_version", down)
    done = synced.run("run")
    assert (done.returncode, done.stderr.splitlines()[0]) == (0, "the testset cannot be compared with Phoenix: gone")


def test_a_dry_run_uploads_nothing_and_says_what_would_change(synced: Project, client, tag):
    synced.run("upload")
    write_testset(synced, tag, ["q2", "q3"])
    done = synced.run("run", "--upload", "--dry-run")
    changes = "(1 added, 0 changed, 1 removed, 1 unchanged)"
    says = f"dataset {tag}: would be updated, but the dry run uploads nothing {changes}"
    assert (done.returncode, done.stderr.splitlines()[0]) == (0, says)
    assert newest_of(client, tag) == ["q1", "q2"]
    done = synced.run("upload", "--dry-run")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tag}: 1 added, 0 changed, 1 removed, 1 unchanged\n" in done.stderr


def test_an_edited_testset_is_uploaded_only_as_asked(synced: Project, client, tag):
    """By flag, variable or file; without any, the command says what differs, and exits 2."""
    synced.run("upload")
    write_testset(synced, tag, ["q2", "q3"])
    done = synced.run("upload")
    assert (done.returncode, done.stdout, newest_of(client, tag)) == (2, "", ["q1", "q2"])
    assert f"  {tag}: 1 added, 0 changed, 1 removed, 1 unchanged\n    added: " in done.stderr
    assert synced.run("upload", "--on-exist", "skip").stdout == f"{tag}: skipped, 2 examples\n"
    assert synced.run("upload", EVALWIRE_ON_EXIST="skip").returncode == 0
    config = synced.directory / "evalwire.toml"
    config.write_text(config.read_text().replace("[dataset]\n", '[dataset]\non_exist = "skip"\n'))
    assert synced.run("upload").returncode == 0
    assert newest_of(client, tag) == ["q1", "q2"]


@pytest.mark.parametrize(
    ("arguments", "environ", "says"),
    [
        (["--upload", "--dataset-version", "V"], {}, "--dataset-version and --upload cannot be used together"),
        (["--dataset-version", "V"], {"EVALWIRE_SYNC": "true"}, "(from: EVALWIRE_SYNC)"),
        (["--upload", "--shard", "1/2"], {}, "shards without a plan cannot upload the testset (from: flag)"),
        (["--upload", "--shard", "1/2", "--plan", "plan.json"], {}, "the plan fixes the dataset versions"),
        (["--upload", "--csv", "nowhere.csv"], {}, "the testset nowhere.csv cannot be read"),
        (["--upload", "--csv", "ragged.csv"], {}, "ragged.csv is not uploaded"),
    ],
)
def test_an_upload_that_cannot_be_is_wrong_use_and_runs_nothing(synced: Project, client, tag, arguments, environ, says):
    (synced.directory / "ragged.csv").write_text(f"user_query,expected_output,tags\nq,a,{tag},more\n")
    done = synced.run("run", *arguments, **environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert not (synced.directory / "test-results/results.json").exists()
    with pytest.raises(ValueError, match="not found"):
        client.datasets.get_dataset(dataset=tag)


def test_a_project_without_a_testset_has_nothing_to_upload(phoenix_project: Project, tag):
    done = phoenix_project.experiment(tag, task=ECHO).run("run", "--upload")
    assert (done.returncode, "no testset was given. Use --csv FILE" in done.stderr) == (2, True)


@pytest.mark.slow
def test_a_version_that_was_asked_for_beats_the_files_sync(synced: Project, client, tag):
    synced.run("upload")
    version = client.datasets.get_dataset(dataset=tag).version_id
    write_testset(synced, tag, ["q3"])
    config = synced.directory / "evalwire.toml"
    config.write_text(config.read_text().replace("[dataset]\n", "[dataset]\nsync = true\n"))
    assert synced.run("run", "--dataset-version", version).returncode == 0
    assert (questions_of(synced), newest_of(client, tag)) == (["q1", "q2"], ["q1", "q2"])
    assert synced.run("run", "--no-upload").returncode == 0
    assert newest_of(client, tag) == ["q1", "q2"]
    assert synced.run("run").returncode == 0
    assert (questions_of(synced), newest_of(client, tag)) == (["q3"], ["q3"])


def test_an_unfinished_upload_is_finished_first(synced: Project, client, tag, monkeypatch):
    """Of another testset too: its rows are not the file's, and its mark goes."""
    monkeypatch.setattr(uploading, "ROWS_PER_PART", 2)
    write_testset(synced, tag, [f"old {number}" for number in range(5)])
    sent = []

    def send(self: Any, name: str, rows: Any, **options: Any) -> str:
        if sent:
            raise PhoenixError("gone")
        sent.append(name)
        return original(self, name, rows, **options)

    original = type(Phoenix(client).uploads).send
    with monkeypatch.context() as patch:
        patch.setattr(type(Phoenix(client).uploads), "send", send)
        assert synced.run("upload").returncode == 2
    write_testset(synced, tag, ["q1", "q2", "q3"])
    done = synced.run("run", "--upload")
    assert (done.returncode, questions_of(synced)) == (0, ["q1", "q2", "q3"])
    assert Phoenix(client).uploads.find(tag).unfinished is None
    assert newest_of(client, tag) == ["q1", "q2", "q3"]


# --- several jobs at once ------------------------------------------------------------------------------


def test_pull_requests_at_the_same_time_run_their_own_questions(synced: Project, tag, tmp_path):
    """Two real processes; the newest version is that of one of them."""
    other = Project(tmp_path / "other", synced.environ).experiment(tag, task=ECHO)
    other.write({"evalwire.toml": (synced.directory / "evalwire.toml").read_text()})
    own = {synced: [f"a{number}" for number in range(9)] + ["q1"], other: [f"b{number}" for number in range(7)]}
    for project, questions in own.items():
        write_testset(project, tag, questions)
    started = [project.start("run", "--upload", **CI) for project in own]
    for process in started:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, (out, err)
    for project, questions in own.items():
        assert questions_of(project) == sorted(questions)


def test_an_upload_between_upload_and_run_changes_nothing(synced: Project, client, tag, monkeypatch):
    """Of the questions, and of what is compared: the version is that of the upload, never the newest."""
    original = CreateExperiments.create_new

    def create_new(self: Any, experiment: Any, **options: Any) -> Any:
        client.datasets.create_dataset(name=tag, examples=[{"input": {"user_query": "theirs"}, "output": {}}])
        return original(self, experiment, **options)

    monkeypatch.setattr(CreateExperiments, "create_new", create_new)
    assert synced.run("run", "--upload").returncode == 0
    assert (questions_of(synced), newest_of(client, tag)) == (["q1", "q2"], ["theirs"])


def test_a_split_runs_as_the_file_has_it_or_not_at_all(synced: Project, client, tag, monkeypatch):
    """Splits belong to examples of all versions: where another upload changed them, the job fails and says why."""
    write_testset(synced, tag, ["q1", "q2", "q3"], splits=["dev", "dev", "test"])
    assert synced.run("run", "--upload", "--split", "dev").returncode == 0
    assert questions_of(synced) == ["q1", "q2"]
    original = CreateExperiments.create_new

    def create_new(self: Any, experiment: Any, **options: Any) -> Any:
        rows = [{**one, "splits": ["test"]} for one in client.datasets.get_dataset(dataset=tag).examples]
        Phoenix(client).uploads.send(tag, rows, as_whole=False)
        return original(self, experiment, **options)

    monkeypatch.setattr(CreateExperiments, "create_new", create_new)
    done = synced.run("run", "--upload", "--split", "dev")
    assert done.returncode == 1
    assert "Another upload may have changed the splits of its examples" in done.stdout
    assert report_of(synced)["runs"] == []


# --- later: resume, gate, plan -------------------------------------------------------------------------


def test_what_was_uploaded_is_what_is_resumed(synced: Project, client, tag):
    """Also an experiment that the first job did not begin: the journal has its version."""
    synced.experiment(f"{tag}-b", task="import os\ndef task(input): os.kill(os.getpid(), 9)\n")
    write_testset(synced, f"{tag}|{tag}-b", ["q1", "q2"])
    (synced.experiments / tag / "task.py").write_text("import os\ndef task(input): os.kill(os.getpid(), 9)\n")
    assert synced.run_process("run", "--upload").returncode == 137
    [journal] = (synced.directory / "test-results").glob("journal_*")
    uploaded = read_journal(journal).spec.uploaded
    assert {name: type(version) for name, version in uploaded.items()} == dict.fromkeys(
        (tag, f"{tag}-b"), UploadedVersion
    )
    (synced.experiments / tag / "task.py").write_text(ECHO)
    (synced.experiments / f"{tag}-b/task.py").write_text(ECHO)
    write_testset(synced, f"{tag}|{tag}-b", ["q9"])
    assert synced.run("upload", "--on-exist", "overwrite").returncode == 0
    done = synced.run("resume", "--accept-changes")
    assert done.returncode == 0, done.stdout
    report = json.loads((synced.directory / "test-results/results.json").read_text())
    for experiment in report["experiments"]:
        assert sorted(run["output"] for run in experiment["runs"]) == ["q1", "q2"]
        assert experiment["dataset"]["version_id"] == uploaded[experiment["dataset"]["name"]].id
    done = synced.run("gate")
    assert (done.returncode, "2 experiments, 4 examples" in done.stdout) == (0, True)


def test_with_shards_only_the_plan_uploads(synced: Project, client, tag):
    synced.run("upload")
    config = synced.directory / "evalwire.toml"
    config.write_text(config.read_text().replace("[dataset]\n", "[dataset]\nsync = true\n"))
    write_testset(synced, tag, ["q2", "q3"])
    done = synced.run("plan", "--shards", "2", "--output", "plan.json")
    assert (done.returncode, f"dataset {tag}: updated, 2 examples" in done.stderr) == (0, True)
    write_testset(synced, tag, ["q4"])
    client.datasets.create_dataset(name=tag, examples=[{"input": {"user_query": "theirs"}, "output": {}}])
    for shard in ("1/2", "2/2"):
        assert synced.run("run", "--plan", "plan.json", "--shard", shard).returncode == 0
    done = synced.run("gate", "--plan", "plan.json")
    assert (done.returncode, questions_of(synced), newest_of(client, tag)) == (0, ["q2", "q3"], ["theirs"])


@pytest.mark.slow
def test_the_description_that_a_person_wrote_stays(synced: Project, client, tag):
    client.datasets.create_dataset(
        name=tag, examples=[{"input": {"user_query": "q"}, "output": {}}], dataset_description="Ours"
    )
    assert synced.run("run", "--upload", **CI).returncode == 0
    found = client.datasets.get_dataset(dataset=tag)
    assert (found.description, UploadOrigin.of(found.description)) == ("Ours", None)
