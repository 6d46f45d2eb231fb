"""The release: its scripts, its workflow's steps as far as they run without a registry, and what its files promise."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
SCRIPTS = GITHUB / "release"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
IMAGE = f"registry.example/team/evalwire@sha256:{'0123456789abcdef' * 4}"
ACTION = """\
runs:
  steps:
    - env:
        RELEASED_IMAGE: ""  # written by the release workflow
        OTHER: ""  # written by nobody\r
"""


def run_script(name, *arguments, stdin=b""):
    command = [sys.executable, SCRIPTS / f"{name}.py", *arguments]
    ended = subprocess.run(command, input=stdin, capture_output=True)
    return ended.returncode, ended.stdout.decode(), ended.stderr.decode()


# --- the image's place in the action -------------------------------------------------------------------


def test_the_image_is_written_and_nothing_else(tmp_path):
    """Every other byte of the file stays, line ends included."""
    file = tmp_path / "action.yml"
    file.write_bytes(ACTION.encode())
    assert run_script("pin_image", file, IMAGE) == (0, "", "")
    place, pinned = 'RELEASED_IMAGE: ""', f'RELEASED_IMAGE: "{IMAGE}"'
    assert file.read_bytes() == ACTION.replace(place, pinned).encode()
    assert yaml.safe_load(file.read_text())["runs"]["steps"][0]["env"]["RELEASED_IMAGE"] == IMAGE


@pytest.mark.parametrize(
    ("action", "image", "said"),
    [
        ("runs: {}\n", IMAGE, "RELEASED_IMAGE, found 0"),
        (ACTION * 2, IMAGE, "RELEASED_IMAGE, found 2"),
        (ACTION.replace('IMAGE: ""', f'IMAGE: "{IMAGE}"'), IMAGE, "RELEASED_IMAGE, found 0"),
        (ACTION, IMAGE[:-1], "64 hexadecimal digits"),
        (ACTION, f"{IMAGE}0", "64 hexadecimal digits"),
        (ACTION, f"{IMAGE[:-1]}g", "64 hexadecimal digits"),
        (ACTION, IMAGE.replace("abcdef", "ABCDEF"), "64 hexadecimal digits"),
        (ACTION, IMAGE.replace("sha256", "sha512"), "64 hexadecimal digits"),
        (ACTION, IMAGE.partition("@")[0] + ":1.2.3", "64 hexadecimal digits"),
        (ACTION, "@" + IMAGE.partition("@")[2], "64 hexadecimal digits"),
        (ACTION, f'"\n{IMAGE}', "64 hexadecimal digits"),
    ],
    ids=[
        "no place",
        "two",
        "filled",
        "short",
        "long",
        "no digit",
        "upper case",
        "sha512",
        "a tag",
        "no name",
        "a line",
    ],
)
def test_what_is_not_to_be_pinned_is_refused(tmp_path, action, image, said):
    """It ends with 1, says why, and leaves the file alone."""
    file = tmp_path / "action.yml"
    file.write_bytes(action.encode())
    code, _, error = run_script("pin_image", file, image)
    assert code == 1
    assert said in error
    assert file.read_bytes() == action.encode()


# --- the index of all platforms ------------------------------------------------------------------------


def _digest(text):
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _index(*architectures, attested=("amd64", "arm64", "s390x")):
    """An index as buildx makes it: an image for each platform, and an attestation of each that says which it is of."""
    manifest = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1234}
    found = []
    for architecture in architectures:
        variant = {"variant": "v8"} if architecture == "arm64" else {}
        platform = {"architecture": architecture, "os": "linux", **variant}
        found.append({**manifest, "digest": _digest(architecture), "platform": platform})
    for architecture in attested:
        if architecture in architectures:
            about = {
                "vnd.docker.reference.digest": _digest(architecture),
                "vnd.docker.reference.type": "attestation-manifest",
            }
            platform = {"architecture": "unknown", "os": "unknown"}
            digest = _digest(f"attestation of {architecture}")
            found.append({**manifest, "digest": digest, "annotations": about, "platform": platform})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": found}
    return json.dumps(index, indent=2).encode()


def test_a_whole_image_has_its_digest_printed():
    """It is the digest of the very bytes that were looked at, which is how a registry names them."""
    index = _index("amd64", "arm64")
    assert run_script("check_manifest", stdin=index) == (0, f"sha256:{hashlib.sha256(index).hexdigest()}\n", "")


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (_index("amd64"), "linux/arm64 occurs 0 times"),
        (_index("arm64"), "linux/amd64 occurs 0 times"),
        (_index("amd64", "arm64", "amd64"), "linux/amd64 occurs 2 times"),
        (_index("amd64", "arm64", "s390x"), "linux/s390x is unexpected"),
        (_index("amd64", "arm64", attested=("amd64",)), "linux/arm64 has no attestation"),
        (b'{"schemaVersion": 2, "config": {}, "layers": []}', "linux/amd64 occurs 0 times"),
        (b"", "not an image index"),
    ],
    ids=["no arm64", "no amd64", "one twice", "one more", "no attestation", "a single image", "nothing"],
)
def test_a_half_built_image_is_refused(index, said):
    """It ends with 1, names what is missing, and prints no digest."""
    code, output, error = run_script("check_manifest", stdin=index)
    assert (code, output) == (1, "")
    assert said in error


# --- the version ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "tag", "said"),
    [
        ("1.2.3", "v1.2.3", None),
        ("1.2.3", "v1.2.4", "the version of the package is 1.2.3, not 1.2.4"),
        ("1.2.3", "1.2.3", "'1.2.3' is not a release tag"),
        ("1.2", "v1.2", "'v1.2' is not a release tag"),
        ("1.0.0.dev0", "v1.0.0.dev0", "'v1.0.0.dev0' is not a release tag"),
        ("1.0.0.dev0", "v1.0.0", "the version of the package is 1.0.0.dev0, not 1.0.0"),
        ("1.2.3", "v1.2.3\n", "is not a release tag"),
        ("1.2.3", "v1.2.3; rm", "is not a release tag"),
    ],
)
def test_a_tag_is_the_packages_version(tmp_path, version, tag, said):
    """A release has three numbers, and the package has them too; nothing else is released."""
    release = tmp_path / ".github/release"
    release.mkdir(parents=True)
    (release / "check_version.py").write_text((SCRIPTS / "check_version.py").read_text())
    (tmp_path / "pyproject.toml").write_text('[tool.hatch.version]\npath = "here.py"\n')
    (tmp_path / "here.py").write_text(f'__version__ = "{version}"\n')
    ended = subprocess.run([sys.executable, release / "check_version.py", tag], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == ((1, "") if said else (0, f"{version}\n"))
    assert (said or "") in ended.stderr


def test_the_version_is_where_the_script_looks():
    """It reads this repository's version, which is not a release's between two of them, or is."""
    from evalwire import __version__

    code, output, error = run_script("check_version", f"v{__version__}")
    assert output.strip() == __version__ if code == 0 else "is not a release tag" in error


# --- the steps of the workflow -------------------------------------------------------------------------


RELEASE = yaml.load((GITHUB / "workflows/release.yml").read_text(), Loader=yaml.BaseLoader)


def run_step(job, name, folder, **environ):
    """Run a step's commands as a runner does."""
    (step,) = (step for step in RELEASE["jobs"][job]["steps"] if step.get("name") == name)
    assert step["env"].keys() <= {"GH_TOKEN", *environ}
    return subprocess.run(
        ["bash", "-e", "-c", step["run"]], cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True
    )


DOCKER = """\
#!{python}
import os, pathlib, sys
with open(os.environ["CALLS"], "a") as calls:
    print(*sys.argv[1:], file=calls)
if "--dry-run" in sys.argv or "inspect" in sys.argv:
    sys.stdout.write(pathlib.Path(os.environ["INDEX"]).read_text())
    sys.exit(int(os.environ["EXIT_CODE"]))
"""


@pytest.fixture
def merge(tmp_path):
    """The step that merges, with two digests from the builds, and a docker that has this index."""
    checkout, programs, calls = tmp_path / "checkout", tmp_path / "bin", tmp_path / "calls"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER.format(python=sys.executable))
    (programs / "docker").chmod(0o755)
    (checkout / ".github").mkdir(parents=True)
    (checkout / ".github/release").symlink_to(SCRIPTS)
    (checkout / "digests").mkdir()
    for name in ("a" * 64, "b" * 64):
        (checkout / "digests" / name).touch()

    def run(index, exit_code=0):
        (tmp_path / "index.json").write_bytes(index)
        ended = run_step(
            "merge",
            "Merge",
            checkout,
            IMAGE="registry.example/team/evalwire",
            VERSION="1.2.3",
            PATH=f"{programs}{os.pathsep}{os.environ['PATH']}",
            CALLS=str(calls),
            INDEX=str(tmp_path / "index.json"),
            EXIT_CODE=str(exit_code),
            GITHUB_OUTPUT=str(tmp_path / "output"),
        )
        output = tmp_path / "output"
        return ended.returncode, calls.read_text().splitlines(), output.read_text() if output.exists() else ""

    return run


def test_what_both_machines_built_is_merged_under_the_version(merge):
    """Both digests become one image, and its digest is the step's output."""
    index = _index("amd64", "arm64")
    code, calls, output = merge(index)
    assert code == 0
    sources = [f"registry.example/team/evalwire@sha256:{letter * 64}" for letter in "ab"]
    assert f"buildx imagetools create --tag registry.example/team/evalwire:1.2.3 {' '.join(sources)}" in calls
    assert output == f"digest=sha256:{hashlib.sha256(index).hexdigest()}\n"


@pytest.mark.parametrize(("index", "exit_code"), [(_index("amd64"), 0), (_index("amd64", "arm64"), 1)])
def test_a_half_built_image_gets_no_tag(merge, index, exit_code):
    """It is refused before anything has the version's name, and so is one that docker could not look at."""
    code, calls, output = merge(index, exit_code)
    assert code == 1
    assert not [call for call in calls if "--tag" in call]
    assert output == ""


def _git(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository with a main branch that was pushed; and what its origin says to a question."""
    origin, clone = tmp_path / "origin.git", tmp_path / "clone"
    _git(tmp_path, "init", "--quiet", "--bare", str(origin))
    _git(tmp_path, "init", "--quiet", "--initial-branch", "main", str(clone))
    (clone / "action.yml").write_text(ACTION)
    (clone / ".github").mkdir()
    (clone / ".github/release").symlink_to(SCRIPTS)
    _git(clone, "add", "action.yml")
    _git(clone, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "--quiet", "--message", "First")
    _git(clone, "remote", "add", "origin", str(origin))
    _git(clone, "push", "--quiet", "origin", "main")
    return clone, lambda *question: _git(origin, *question)


def _tag(clone, tag, image=IMAGE):
    _git(clone, "checkout", "--quiet", "--force", "main")  # each run of the workflow has a checkout of its own
    _git(clone, "checkout", "--quiet", "--detach")
    return run_step("tag", "Tag a commit that has the image", clone, TAG=tag, IMAGE=image)


def test_both_tags_point_to_a_commit_that_has_the_image(repository):
    """The version's tag and the moving one are one commit, which follows main and is not on it."""
    clone, ask = repository
    assert _tag(clone, "v1.2.3").returncode == 0
    assert ask("rev-parse", "v1.2.3") == ask("rev-parse", "v1")
    assert ask("rev-parse", "v1~1") == ask("rev-parse", "main")
    assert f'RELEASED_IMAGE: "{IMAGE}"' in ask("show", "v1:action.yml")
    assert ask("diff", "--stat", "main", "v1").splitlines()[0].split()[0] == "action.yml"


def test_the_moving_tag_moves_with_the_next_release(repository):
    """`v1` is the newest release of its major version; the tags of versions stay where they are."""
    clone, ask = repository
    assert _tag(clone, "v1.2.3").returncode == 0
    first = ask("rev-parse", "v1.2.3")
    other = IMAGE.replace("0", "f")
    assert _tag(clone, "v1.3.0", other).returncode == 0
    assert ask("rev-parse", "v1") == ask("rev-parse", "v1.3.0")
    assert ask("rev-parse", "v1.2.3") == first
    assert other in ask("show", "v1:action.yml")


def test_a_released_tag_is_never_moved(repository):
    """A second release of a version is refused whole: `v1` stays, too."""
    clone, ask = repository
    assert _tag(clone, "v1.2.3").returncode == 0
    before = ask("show-ref")
    assert _tag(clone, "v1.2.3", IMAGE.replace("0", "f")).returncode != 0
    assert ask("show-ref") == before


def test_an_image_without_a_digest_is_not_tagged(repository):
    """Where the digest did not arrive, there is no tag."""
    clone, ask = repository
    assert _tag(clone, "v1.2.3", "registry.example/team/evalwire@").returncode == 1
    assert ask("tag") == ""


# --- what the files promise ----------------------------------------------------------------------------


def _steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job.get("steps", ())]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_may_nothing_and_runs_what_is_pinned(file):
    """Rights are given job by job, and actions are named by a full hash, with the version for people and Dependabot."""
    workflow = yaml.load(file.read_text(), Loader=yaml.BaseLoader)
    assert workflow["permissions"] == {}
    assert all("permissions" in job for job in workflow["jobs"].values())
    for line in file.read_text().splitlines():
        if (used := re.search(r"uses: (.+)", line)) and not used[1].startswith(("$/", "./")):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used[1]), line
    for step in _steps(workflow):
        assert (
            not step.get("uses", "").startswith("actions/checkout@") or step["with"]["persist-credentials"] == "false"
        )


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda path: path.stem)
def test_the_variables_and_folders_that_a_workflow_names_are_there(file):
    """The runner makes an empty text of a variable that is not, and says nothing."""
    text = file.read_text()
    workflow = yaml.safe_load(text)
    known = dict(workflow.get("env", {}))
    for one in [*workflow["jobs"].values(), *_steps(workflow)]:
        known |= one.get("env", {})
    assert set(re.findall(r"\$\{\{ *env\.(\w+)", text)) <= set(known)
    inputs = [step["with"] for step in _steps(workflow) if step.get("uses") == "./"]
    named = [one[name] for one in inputs for name in ("experiments", "config", "requirements") if name in one]
    named += re.findall(r"--csv=(\S+)", text)
    assert bool(named) == (file.stem == "selftest")
    for name in named:
        path = re.sub(r"\$\{\{ *env\.(\w+) *\}\}", lambda found: known[found[1]], name)
        assert (ROOT / path).exists(), name


def test_one_action_has_one_version():
    """Two hashes of one action would be an update that stopped halfway."""
    texts = "".join(file.read_text() for file in WORKFLOWS)
    pins = set(re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40} # v\S+)", texts))
    assert len(pins) == len({action for action, _ in pins})


def test_tags_come_after_everything_else():
    """Each job waits for the one before it, so nothing that fails leaves a tag behind."""
    jobs = RELEASE["jobs"]
    before = {
        name: {job["needs"]} if isinstance(job.get("needs"), str) else set(job.get("needs", ()))
        for name, job in jobs.items()
    }
    assert before == {
        "check": set(),
        "test": {"check"},
        "build": {"check", "test"},
        "merge": {"check", "build"},
        "tag": {"check", "merge"},
    }
    assert {name for name, job in jobs.items() if job["permissions"].get("contents") == "write"} == {"tag"}
    assert not [name for name, job in jobs.items() if "if" in job and name != "check"]


def test_the_image_is_built_for_the_platforms_that_are_checked():
    """The build's matrix and the check of the index name the same; provenance and SBOM are made, the labels filled."""
    build = RELEASE["jobs"]["build"]
    built = {f"linux/{one['architecture']}" for one in build["strategy"]["matrix"]["include"]}
    checked = re.search(r"^PLATFORMS = (.+)$", (SCRIPTS / "check_manifest.py").read_text(), re.MULTILINE)
    assert checked
    assert built == set(re.findall(r"linux/\w+", checked[1]))
    (step,) = (step for step in build["steps"] if step.get("id") == "build")
    assert (step["with"]["provenance"], step["with"]["sbom"]) == ("mode=max", "true")
    arguments = {line.partition("=")[0] for line in step["with"]["build-args"].splitlines()}
    last = (ROOT / "Dockerfile").read_text().rpartition("# Last,")[2]
    assert arguments == set(re.findall(r"^ARG (\w+)=", last, re.MULTILINE))


def test_no_file_of_the_release_names_a_registry():
    """Where images lie is the repository's setting, and the key to it a secret."""
    text = (GITHUB / "workflows/release.yml").read_text()
    assert not re.findall(r"\b[\w-]+\.(?:io|com|dev)\b/", text)
    assert {"vars.IMAGE_REGISTRY", "vars.IMAGE_REPOSITORY", "secrets.IMAGE_REGISTRY_TOKEN"} <= set(
        re.findall(r"(?:vars|secrets)\.\w+", text)
    )
    contributing = (GITHUB / "CONTRIBUTING.md").read_text()
    assert not [name for name in re.findall(r"(?:vars|secrets)\.(\w+)", text) if f"`{name}`" not in contributing]


def test_dependabot_looks_after_everything_that_is_pinned():
    """Python, the base image, the compose file's image and the actions."""
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]
    assert {one["package-ecosystem"] for one in updates} == {"pip", "docker", "docker-compose", "github-actions"}


def test_the_action_has_a_place_for_its_image(tmp_path):
    """On main it is empty: only a tag has an image, so none can be of another commit's code."""
    file = tmp_path / "action.yml"
    file.write_bytes((ROOT / "action.yml").read_bytes())
    assert run_script("pin_image", file, IMAGE) == (0, "", "")
    assert yaml.safe_load(file.read_text())["runs"]["steps"][0]["env"]["RELEASED_IMAGE"] == IMAGE
