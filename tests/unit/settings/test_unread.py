"""Gates that stand in a file which is not read: wrong use, not a green job."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unprivileged import drop_privileges

from evalwire.errors import UsageError
from evalwire.settings import load_settings, merge_env_file
from evalwire.settings.unread import reject_ignored_gates

GATES = "[experiments.d.gates]\nsame = { min_pass_rate = 0.9 }\n"
OTHERS = ("[gates]\nmax_error_rate = 0.1\n", '[gates]\non_no_baseline = "fail"\n', "[gates.same]\nmin = 0.5\n")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a service in it; the working directory is the repository."""
    (tmp_path / "repo/svc/experiments/d").mkdir(parents=True)
    (tmp_path / "repo/.git").mkdir()
    monkeypatch.chdir(tmp_path / "repo")
    return tmp_path / "repo"


def load(experiments: str | None = None, **options: object):
    return load_settings({"experiments": experiments}, {}, **options)


@pytest.mark.parametrize("text", [GATES, *OTHERS])
def test_gates_beside_the_experiments_that_are_not_read_are_wrong_use(here, text):
    (here / "svc/evalwire.toml").write_text(text)
    with pytest.raises(UsageError, match=r"the gates in .*/svc/evalwire\.toml would be ignored: there is no evalwire"):
        load("svc/experiments")
    (here / "evalwire.toml").write_text("[experiments]\nhelpers = []\n")
    with pytest.raises(
        UsageError, match=r"would be ignored: only evalwire\.toml is read\.\nRun evalwire in .*/svc, or"
    ):
        load("svc/experiments")


def test_gates_above_the_experiments_are_seen_up_to_the_repository(here, monkeypatch):
    monkeypatch.chdir("svc")
    (here.parent / "evalwire.toml").write_text(GATES)
    load()
    (here / "evalwire.toml").write_text(GATES)
    with pytest.raises(UsageError, match=r"repo/evalwire\.toml would be ignored"):
        load()


def test_gates_above_a_mount_are_not_seen(here, monkeypatch):
    (here / "svc/.git").mkdir()
    (here / "evalwire.toml").write_text(GATES)
    monkeypatch.chdir("svc")
    load()
    (here / "svc/.git").rmdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "svc")
    load()


def test_the_file_that_is_read_is_no_other(here, monkeypatch):
    """By whatever name: beside the experiments, through a link, or named."""
    (here / "svc/evalwire.toml").write_text(GATES)
    monkeypatch.chdir("svc")
    assert load().thresholds.experiments.keys() == {"d"}
    monkeypatch.chdir(here)
    (here / "evalwire.toml").symlink_to("svc/evalwire.toml")
    load("svc/experiments")
    (here / "link").symlink_to("svc/experiments")
    load("link")


def test_a_file_that_was_named_is_the_users_choice(here):
    (here / "svc/evalwire.toml").write_text(GATES)
    (here / "other.toml").write_text("")
    load("svc/experiments", config=here / "other.toml")


def test_a_file_without_gates_beside_the_experiments_may_be_left_alone(here):
    (here / "svc/evalwire.toml").write_text(
        "[experiments.d]\ndataset = 'd'\n[gates]\n[run]\nfrom_a_newer_version = 1\n"
    )
    load("svc/experiments")


@pytest.mark.parametrize("text", ["[gates", "\udcff"])
def test_a_file_that_cannot_be_read_may_have_gates(here, text):
    (here / "svc/evalwire.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=r"cannot read .*/svc/evalwire\.toml, which may contain gates"):
        load("svc/experiments")


def test_a_command_without_experiments_is_not_concerned(here):
    (here / "svc/evalwire.toml").write_text(GATES)
    load_settings({}, {"EVALWIRE_EXPERIMENTS": "svc/experiments"})


@pytest.mark.parametrize("name", ["evalwire.toml", ".env"])
def test_a_link_that_leads_nowhere_is_not_the_lack_of_a_file(here, name):
    """Its gates would be gone: in a container, what it leads to may not be mounted."""
    Path(name).symlink_to("../shared/file")
    with pytest.raises(UsageError, match=f"{name} cannot be read: .*No such file"):
        load() if name == "evalwire.toml" else merge_env_file({}, None)


def test_a_folder_in_the_place_of_the_file_is_not_the_lack_of_it(here):
    """Docker makes one where what is mounted does not exist."""
    Path("evalwire.toml").mkdir()
    with pytest.raises(UsageError, match=r"evalwire\.toml cannot be read: .*Is a directory"):
        load()
    Path(".env").mkdir()  # a virtual environment
    assert merge_env_file({}, None) == {}


def test_a_file_that_may_not_be_looked_at_is_not_the_lack_of_it(here):
    """`Path.is_file` says False for it from Python 3.14 on."""
    (here / "closed").mkdir()
    (here / "closed/evalwire.toml").write_text(GATES)
    Path("evalwire.toml").symlink_to("closed/evalwire.toml")
    (here / "closed").chmod(0)
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from evalwire.settings import load_settings; load_settings({}, {})"],
            capture_output=True,
            text=True,
            preexec_fn=drop_privileges,
            check=False,
        )
    finally:
        (here / "closed").chmod(0o755)
    assert "UsageError: evalwire.toml cannot be read: [Errno 13] Permission denied" in done.stderr


FOLDERS = (".", "svc", "svc/team", "svc/team/experiments")


@given(
    gates=st.dictionaries(st.sampled_from(FOLDERS), st.booleans()),
    cwd=st.sampled_from(FOLDERS[:3]),
    root=st.sampled_from(FOLDERS[:3]),
)
def test_a_job_reads_every_gate_up_to_the_repository_or_does_not_start(tmp_path_factory, gates, cwd, root):
    """Whichever files are there: what is refused is what would be ignored, and nothing else."""
    folder = tmp_path_factory.mktemp("world")
    (folder / FOLDERS[-1] / "d").mkdir(parents=True)
    (folder / root / ".git").mkdir()
    for name, has_gates in gates.items():
        (folder / name / "evalwire.toml").write_text(textwrap.dedent(GATES) if has_gates else "")
    within = FOLDERS[FOLDERS.index(root) : 3]
    ignored = {name for name in within if gates.get(name)} - {cwd}
    before, refused, read = Path.cwd(), "", False
    os.chdir(folder / cwd)
    try:
        read = bool(load(str(folder / FOLDERS[-1])).thresholds.experiments)
    except UsageError as error:
        refused = str(error)
    finally:
        os.chdir(before)
    assert ("would be ignored" in refused) == bool(ignored), refused
    assert read == (gates.get(cwd, False) and not ignored)


def test_without_an_experiments_folder_no_gates_are_ignored(tmp_path):
    """`evalwire gate` judges what was recorded elsewhere, in a folder with a configuration file and nothing else."""
    (tmp_path / "evalwire.toml").write_text("[gates]\nmax_error_rate = 0\n")
    (tmp_path / "clean").mkdir()
    reject_ignored_gates(tmp_path / "clean" / "experiments", tmp_path / "clean" / "evalwire.toml")
    (tmp_path / "clean" / "experiments").mkdir()
    with pytest.raises(UsageError, match="would be ignored"):
        reject_ignored_gates(tmp_path / "clean" / "experiments", tmp_path / "clean" / "evalwire.toml")
