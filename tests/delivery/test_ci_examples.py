"""The examples for CI systems, as files: what can be said of them without a container."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from ci_systems import DERIVED_IMAGE, EXAMPLES, IMAGE, SYSTEMS, Azure, Buildkite, CircleCI, Kubernetes, System, Tekton

from evalwire.settings.ci import _SYSTEMS

KUBERNETES_VERSION = "1.34"
ON_THE_AGENT = (CircleCI(), Azure(), Buildkite())  # these pass on what they are told to
FILES = sorted(path for folder in ("ci", "kubernetes") for path in (EXAMPLES / folder).iterdir())

every_system = pytest.mark.parametrize("system", SYSTEMS, ids=[type(system).__name__ for system in SYSTEMS])


def test_every_example_is_tried():
    """No file lies in `examples/ci` that the tests of the image do not run."""
    assert {path.name for path in FILES if path.parent.name == "ci"} == {Path(one.file).name for one in SYSTEMS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_image_is_to_be_replaced(path):
    """Every image of ours has one of two names that do not exist, so that none is taken for a real one."""
    names = set(re.findall(r"[\w./-]*(?:evalwire|my-evals):\w+", path.read_text()))
    assert names <= {IMAGE, DERIVED_IMAGE}


@every_system
def test_the_gate_counts_the_shards(system: System):
    """The gate is told as many shards as the example runs."""
    text = (EXAMPLES / system.file).read_text()
    if isinstance(system, Kubernetes):
        text = "".join(path.read_text() for path in sorted(system.folder.glob("*.yaml")))
        assert f"value: auto/{system.shards()}" in text
    counts = re.findall(r"gate,? --shards,? \"?(\d+)", text)
    assert counts
    assert {int(count) for count in counts} == {system.shards()}


@pytest.mark.parametrize("system", ON_THE_AGENT, ids=lambda system: type(system).__name__)
def test_what_ci_tells_is_passed_into_the_container(system: System):
    """Each variable that evalwire reads of this CI system is passed on by name, and with it the settings."""
    name = system.facts["ci"]
    (described,) = [one for one in _SYSTEMS if one.name == name]
    read = {described.shown_by, *re.findall(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+", repr(described))}
    passed = re.findall(r"(?:--env|^ +-) ([A-Z_0-9]+)\b", (EXAMPLES / system.file).read_text(), re.MULTILINE)
    assert {*passed} == read | {"PHOENIX_ENDPOINT", "PHOENIX_API_KEY"}


@every_system
def test_the_guide_links_the_example(system: System):
    guide = (EXAMPLES.parent / "docs" / "ci.md").read_text()
    directory = "examples/kubernetes" if system.file.endswith("kubernetes.yaml") else f"examples/{system.file}"
    assert f"(../{directory})" in guide


# --- Tekton, whose types no package has --------------------------------------------------------------------

# What the types of tekton.dev/v1 have; `step` also has what a container of Kubernetes has.
FIELDS = {
    "Task": {"params", "workspaces", "steps", "volumes", "results", "sidecars", "stepTemplate", "description"},
    "Pipeline": {"params", "workspaces", "tasks", "finally", "results", "description"},
    "PipelineRun": {"pipelineRef", "params", "workspaces", "taskRunTemplate", "taskRunSpecs", "timeouts"},
    "pipeline task": {"name", "taskRef", "runAfter", "params", "matrix", "workspaces", "timeout", "retries", "when"},
}


@pytest.fixture
def tekton():
    """The documents of the example, by kind and name."""
    documents = yaml.safe_load_all((EXAMPLES / Tekton.file).read_text())
    return {(one["kind"], one["metadata"].get("name")): one for one in documents}


def test_tektons_types_have_these_fields(tekton):
    """Each document is of the stable API, and has fields of its type only."""
    for (kind, _), document in tekton.items():
        assert document["apiVersion"] == "tekton.dev/v1"
        assert document["spec"].keys() <= FIELDS[kind]
        for task in (*document["spec"].get("tasks", ()), *document["spec"].get("finally", ())):
            assert task.keys() <= FIELDS["pipeline task"]


def test_tektons_step_is_a_container(tekton):
    """What a step shares with a container of Kubernetes is valid there, its security context included."""
    task = tekton["Task", "evalwire"]["spec"]
    pod = {"containers": task["steps"], "volumes": task["volumes"]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "evalwire"}, "spec": pod}
    kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)


def test_tektons_pipelines_give_what_the_task_takes(tekton):
    """Parameters, workspaces and orders refer to what is declared, and no parameter without a default is left out."""
    taken = {one["name"]: "default" in one for one in tekton["Task", "evalwire"]["spec"]["params"]}
    for name in ("evalwire", "evalwire-sharded"):
        pipeline = tekton["Pipeline", name]["spec"]
        tasks = [*pipeline["tasks"], *pipeline.get("finally", ())]
        for task in tasks:
            assert {*task.get("runAfter", ())} <= {one["name"] for one in tasks}
            assert {one["workspace"] for one in task["workspaces"]} <= {one["name"] for one in pipeline["workspaces"]}
            if task["taskRef"]["name"] == "evalwire":
                given = {one["name"] for one in (*task["params"], *task.get("matrix", {}).get("params", ()))}
                assert given <= taken.keys()
                assert given >= {parameter for parameter, has_default in taken.items() if not has_default}
    run = tekton["PipelineRun", None]["spec"]
    pipeline = tekton["Pipeline", run["pipelineRef"]["name"]]["spec"]
    assert {one["name"] for one in run["params"]} >= {one["name"] for one in pipeline["params"] if "default" not in one}


# --- the order of Kubernetes' Jobs ---------------------------------------------------------------------------

KUBECTL = r"""#!/bin/sh
# Writes down what it is told; a Job has no condition at first, then one that is not its end, then its end.
case $1 in
create)
  tee -a "$CALLS/manifests" | sed -n 's/^  name: evalwire-\([a-z]*\)-.*/create \1/p' >>"$CALLS/calls"
  echo "---" >>"$CALLS/manifests"
  ;;
*) echo "$*" >>"$CALLS/calls" ;;
esac
case $1 in
get)
  asked=$(grep -c "^$1 $2 " "$CALLS/calls")
  case $2 in *shards*) end=$SHARDS ;; *) end=$GATE ;; esac
  [ "$end" != unreachable ] || exit 1
  [ "$asked" -lt 2 ] || printf %s "FailureTarget SuccessCriteriaMet"
  [ "$asked" -lt 3 ] || printf %s " $end"
  ;;
logs) echo "the verdict" ;;
esac
"""


@pytest.fixture
def run_in_cluster(tmp_path):
    """`run.sh 42` with a kubectl whose Jobs end as they are told to: its exit, its calls, and what it created."""

    def run(*, shards, gate):
        for name, text in (("kubectl", KUBECTL), ("sleep", "#!/bin/sh\n")):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(tmp_path), "SHARDS": shards, "GATE": gate}
        ended = subprocess.run([EXAMPLES / "kubernetes" / "run.sh", "42"], env=environ, capture_output=True, text=True)
        calls = [line.split(" --")[0] for line in (tmp_path / "calls").read_text().splitlines()]
        manifests = yaml.safe_load_all((tmp_path / "manifests").read_text())
        return ended, list(dict.fromkeys(calls)), [one for one in manifests if one]

    return run


@pytest.mark.parametrize(
    ("shards", "gate", "code"), [("Complete", "Complete", 0), ("Failed", "Failed", 1), ("Failed", "Complete", 0)]
)
def test_the_gate_is_started_after_the_shards_and_its_verdict_is_the_exit(run_in_cluster, shards, gate, code):
    """Only the end of the shards, red or not, starts the gate; whether the gate is red is all that counts."""
    ended, calls, _ = run_in_cluster(shards=shards, gate=gate)
    assert ended.returncode == code, ended.stderr
    assert "the verdict" in ended.stdout
    assert [call for call in calls if call != "delete"] == [
        "create shards",
        "get job/evalwire-shards-run-42",
        "create gate",
        "get job/evalwire-gate-run-42",
        "logs job/evalwire-gate-run-42",
    ]


def test_what_is_created_has_the_runs_name(run_in_cluster):
    """Both Jobs are valid, have names of this run, and the key that the shards and the gate have in common."""
    _, _, manifests = run_in_cluster(shards="Complete", gate="Complete")
    assert [one["metadata"]["name"] for one in manifests] == ["evalwire-shards-run-42", "evalwire-gate-run-42"]
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        assert {"name": "EVALWIRE_RUN_KEY", "value": "run-42"} in container["env"]


def test_a_cluster_that_does_not_answer_is_red(run_in_cluster):
    """Without knowing how the shards ended nothing is judged."""
    ended, calls, _ = run_in_cluster(shards="unreachable", gate="Complete")
    assert ended.returncode != 0
    assert "get job/evalwire-gate-run-42" not in calls
