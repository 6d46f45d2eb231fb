"""CI systems, as far as they start containers: each reads its example in `examples/` and runs a job of it as it would.

What a system does to a container is in the class of that system; the commands, arguments, variables and paths are all
those of the example. Only the image's name is put in.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
IMAGE = "registry.example/evalwire:1"
DERIVED_IMAGE = "registry.example/my-evals:1"
REPORTS = "test-results"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
STRANGER = 54321  # no user of the image
JOBS = ("evaluate", "shard", "gate")

Variables = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ended:
    """A job at its end; `output` is both streams."""

    code: int
    output: str

    @classmethod
    def of(cls, finished: subprocess.CompletedProcess[str]) -> Ended:
        return cls(finished.returncode, finished.stdout + finished.stderr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where jobs run.

    Attributes:
        docker: runs `docker ARGUMENTS`.
        label: for the containers.
        image: what the examples' image is here.
        checkout: the repository, on the disk of the agent.
        settings: what the user has set in the CI system: Phoenix's address and key.
        run: tells this run of the pipeline from all others.
    """

    docker: Callable[..., subprocess.CompletedProcess[str]]
    label: str
    image: str
    checkout: Path
    settings: Variables
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def reports(self) -> Path:
        return self.checkout / REPORTS

    def container(self, *arguments: str, environ: Variables | None = None, stdin: str = "") -> Ended:
        """Run `docker run --rm ARGUMENTS` to its end; `environ` is that of the docker command."""
        command = ("run", "--rm", "--label", self.label, *arguments)
        return Ended.of(self.docker(*command, check=False, stdin=stdin, environ=dict(environ or {})))

    def here(self, text: str) -> str:
        """The text with the image's name put in."""
        assert IMAGE in text, text
        return text.replace(IMAGE, self.image)


class System(Protocol):
    """A CI system."""

    file: ClassVar[str]
    facts: ClassVar[Variables]  # what evalwire is to know of the job

    def shards(self) -> int:
        """How many parallel jobs the example has."""

    def run(self, job: str, site: Site, index: int = 0) -> Ended:
        """Run one of JOBS; `index` is that of a shard, from 0."""

    def published(self, job: str, site: Site) -> list[str]:
        """The files that the system keeps of a job that was run."""


def named(variables: Variables, flag: str = "-e") -> list[str]:
    """Options that set variables in a container."""
    return [word for item in variables.items() for word in (flag, "=".join(item))]


def kept(site: Site, patterns: Sequence[str], excluded: Sequence[str] = ()) -> list[str]:
    """The files of the checkout that match, by their path in it."""
    paths = (path.relative_to(site.checkout).as_posix() for path in site.checkout.rglob("*") if path.is_file())
    return sorted(path for path in paths if matches(path, patterns) and not matches(path, excluded))


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path is one of them, or in a folder that is."""
    return any(fnmatch.fnmatch(path, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in patterns)


def on_the_agent(command: Sequence[str], site: Site, variables: Variables) -> Ended:
    """Run a command on the agent itself, in the checkout, with these variables and none of this session's."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(site.checkout.parent), **variables}
    return Ended.of(subprocess.run(command, cwd=site.checkout, env=environ, capture_output=True, text=True, timeout=60))


def writable(site: Site) -> None:
    """Let everybody write to the checkout, as those systems do that clone as root without a umask."""
    for path in (site.checkout, *site.checkout.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


def substituted(value: Any, texts: Variables) -> Any:
    """What was read from an example, with texts put in for others."""
    if isinstance(value, dict):
        return {key: substituted(inner, texts) for key, inner in value.items()}
    if isinstance(value, list):
        return [substituted(inner, texts) for inner in value]
    if isinstance(value, str):
        for old, new in texts.items():
            value = value.replace(old, new)
    return value


def document(name: str) -> Any:
    """An example, read as YAML."""
    return yaml.safe_load((EXAMPLES / name).read_text())


# --- a shell in the image --------------------------------------------------------------------------------


class GitLab:
    """A shell that is looked for, through the entrypoint; the script comes on stdin; the clone is everybody's."""

    file = "ci/gitlab.yml"
    facts: ClassVar = {"ci": "gitlab", "commit": COMMIT, "branch": "fix", "base_branch": "main"}
    find_shell = (
        "for shell in /usr/local/bin/bash /usr/bin/bash /bin/bash /bin/sh; do [ -x $shell ] && exec $shell; done"
    )

    def _job(self, name: str) -> dict[str, Any]:
        jobs = document(self.file)
        job = jobs[name]
        return merged(jobs[job["extends"]], job)

    def shards(self) -> int:
        return int(self._job("shard")["parallel"])

    def run(self, job: str, site: Site, index: int = 0) -> Ended:
        definition = self._job(job)
        total = definition.get("parallel", 1)
        variables = {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_PROJECT_PATH": "team/app",
            "CI_PIPELINE_ID": site.run,
            "CI_COMMIT_SHA": COMMIT,
            "CI_COMMIT_REF_NAME": "fix",
            "CI_DEFAULT_BRANCH": "main",
            "CI_JOB_NAME": f"{job} {index + 1}/{total}" if total > 1 else job,
            "CI_NODE_TOTAL": str(total),
            **({"CI_NODE_INDEX": str(index + 1)} if total > 1 else {}),
            **site.settings,
        }
        writable(site)
        script = shlex.quote("\n".join(definition["script"]))
        place = ("-v", f"{site.checkout}:/builds/team/app", "-w", "/builds/team/app")
        command = (site.here(definition["image"]), "sh", "-c", self.find_shell)
        stdin = f"set -o errexit\n(eval {script}) </dev/null\nexit 0\n"
        return site.container("-i", *place, *named(variables), *command, stdin=stdin)

    def published(self, job: str, site: Site) -> list[str]:
        artifacts = self._job(job)["artifacts"]
        assert artifacts["when"] == "always"
        return kept(site, artifacts["paths"], artifacts["exclude"])


def merged(below: Any, above: Any) -> Any:
    """Mappings put together, as `extends` does."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {key: merged(below.get(key), above.get(key, below.get(key))) for key in {**below, **above}}
    return above


class Jenkins:
    """`cat` as the agent's user, which has to be seen running; each `sh` is executed beside it, and leaves its code in a file."""

    file = "ci/Jenkinsfile"
    facts: ClassVar = {
        "ci": "jenkins",
        "commit": COMMIT,
        "branch": "fix",
        "base_branch": "main",
        "job_url": "https://ci.example/job/app/1/",
    }

    def _stage(self, name: str) -> str:
        """The text of a stage, to the next one."""
        stages = re.split(r"stage\('(\w+)'\)", (EXAMPLES / self.file).read_text())
        return dict(zip(stages[1::2], stages[2::2], strict=True))[name]

    def _shard_values(self) -> list[str]:
        found = re.search(r"name 'SHARD'.*\n\s*values (.*)", self._stage("Shards"))
        assert found
        return re.findall(r"'([^']+)'", found[1])

    def shards(self) -> int:
        return len(self._shard_values())

    def run(self, job: str, site: Site, index: int = 0) -> Ended:
        image = re.findall(r"image '([^']+)'", self._stage("Shards" if job == "shard" else job.capitalize()))
        variables = {
            "JENKINS_URL": "https://ci.example/",
            "BUILD_URL": "https://ci.example/job/app/1/",
            "BUILD_TAG": f"jenkins-app-{site.run}",
            "GIT_COMMIT": COMMIT,
            "CHANGE_BRANCH": "fix",
            "CHANGE_TARGET": "main",
            **({"SHARD": self._shard_values()[index]} if job == "shard" else {}),
            **site.settings,
        }
        temporary = site.checkout.with_name(f"{site.checkout.name}@tmp")
        temporary.mkdir(exist_ok=True)
        for path in (site.checkout, *site.checkout.rglob("*"), temporary):
            os.chown(path, STRANGER, STRANGER)
        with self._cat(site, site.here(image[0]), temporary, variables) as container:
            output = ""
            for script in re.findall(r"sh '([^']*)'", self._stage(job.capitalize())):
                ended = self._sh(site, container, script, temporary, variables)
                output += ended.output
                if ended.code:
                    return Ended(ended.code, output)
        return Ended(0, output)

    @contextlib.contextmanager
    def _cat(self, site: Site, image: str, temporary: Path, variables: Variables) -> Iterator[str]:
        volumes = [word for path in (site.checkout, temporary) for word in ("-v", f"{path}:{path}:rw,z")]
        options = ("-u", f"{STRANGER}:{STRANGER}", "-w", str(site.checkout), *volumes, *named(variables))
        container = site.docker("run", "-t", "-d", "--label", site.label, *options, image, "cat").stdout.strip()
        try:
            latest = time.monotonic() + 10  # on a busy machine the entrypoint takes a moment
            while "cat" not in (processes := site.docker("top", container, "-eo", "pid,comm").stdout).split():
                assert time.monotonic() < latest, processes
            yield container
        finally:
            site.docker("rm", "-f", container)

    def _sh(self, site: Site, container: str, script: str, temporary: Path, variables: Variables) -> Ended:
        """A script in the background of the container; its log and its exit code come by way of files."""
        folder = temporary / f"durable-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        (folder / "script.sh").write_text(script)
        os.chown(folder, STRANGER, STRANGER)
        run = f"sh -xe {folder}/script.sh >{folder}/log 2>&1; echo $? >{folder}/code.tmp; mv {folder}/code.tmp {folder}/code"
        background = ("nohup", "sh", "-c", f"({run}) >&- 2>&- &")
        site.docker("exec", *named(variables, "--env"), container, *background)
        deadline = time.monotonic() + 60
        while not (folder / "code").exists():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        return Ended(int((folder / "code").read_text()), (folder / "log").read_text())

    def published(self, job: str, site: Site) -> list[str]:
        post = re.search(r"always \{(.*)", self._stage(job.capitalize()), re.DOTALL)
        assert post
        found = re.search(r"archiveArtifacts artifacts: '([^']+)', excludes: '([^']+)'", post[1])
        assert found
        return kept(site, [found[1]], [found[2]])


class Bitbucket:
    """A shell in place of the entrypoint; the clone is everybody's."""

    file = "ci/bitbucket-pipelines.yml"
    facts: ClassVar = {"ci": "bitbucket", "commit": COMMIT, "branch": "fix"}
    clone = "/opt/atlassian/pipelines/agent/build"

    def _steps(self, job: str) -> list[dict[str, Any]]:
        pipelines = document(self.file)["pipelines"]
        if job == "evaluate":
            (item,) = pipelines["pull-requests"]["**"]
            return [item["step"]]
        parallel, gate = pipelines["custom"]["nightly"]
        return [item["step"] for item in parallel["parallel"]["steps"]] if job == "shard" else [gate["step"]]

    def shards(self) -> int:
        return len(self._steps("shard"))

    def run(self, job: str, site: Site, index: int = 0) -> Ended:
        steps = self._steps(job)
        variables = {
            "CI": "true",
            "BITBUCKET_BUILD_NUMBER": "7",
            "BITBUCKET_PIPELINE_UUID": f"{{{site.run}}}",
            "BITBUCKET_REPO_FULL_NAME": "team/app",
            "BITBUCKET_COMMIT": COMMIT,
            "BITBUCKET_BRANCH": "fix",
            "BITBUCKET_CLONE_DIR": self.clone,
            **site.settings,
        }
        if job == "shard":
            # only a failure that is ignored lets the pipeline go on to the gate
            assert steps[index]["on-fail"] == {"strategy": "ignore"}
            variables |= {"BITBUCKET_PARALLEL_STEP": str(index), "BITBUCKET_PARALLEL_STEP_COUNT": str(len(steps))}
        writable(site)
        place = ("-v", f"{site.checkout}:{self.clone}", "-w", self.clone, "--entrypoint", "/bin/sh")
        image = site.here(document(self.file)["image"])
        script = "\n".join(steps[index]["script"])
        return site.container(*place, *named(variables), image, "-e", "-c", script)

    def published(self, job: str, site: Site) -> list[str]:
        (upload,) = self._steps(job)[0]["artifacts"]["upload"]
        assert upload["capture-on"] == "always"
        return kept(site, upload["paths"], upload["ignore-paths"])


# --- docker on the agent ---------------------------------------------------------------------------------


class CircleCI:
    """A machine on which bash runs each step, with the variables of the project."""

    file = "ci/circleci.yml"
    facts: ClassVar = {
        "ci": "circleci",
        "commit": COMMIT,
        "branch": "fix",
        "job_url": "https://circleci.example/1",
    }

    def shards(self) -> int:
        return int(document(self.file)["jobs"]["shard"]["parallelism"])

    def _steps(self, job: str) -> Iterator[dict[str, Any]]:
        """The steps, those of commands put in their place."""
        config = document(self.file)
        for step in config["jobs"][job]["steps"]:
            (name,) = step
            if name not in config["commands"]:
                yield step
                continue
            parameters = {f"<< parameters.{parameter} >>": value for parameter, value in step[name].items()}
            yield from substituted(config["commands"][name]["steps"], parameters)

    def run(self, job: str, site: Site, index: int = 0) -> Ended:
        variables = {
            "CIRCLECI": "true",
            "CIRCLE_SHA1": COMMIT,
            "CIRCLE_BRANCH": "fix",
            "CIRCLE_BUILD_URL": "https://circleci.example/1",
            "CIRCLE_PIPELINE_ID": site.run,
            "CIRCLE_WORKFLOW_ID": uuid.uuid4().hex,  # another one when failed jobs are run again
            "CIRCLE_JOB": job,
            "CIRCLE_NODE_INDEX": str(index),
            "CIRCLE_NODE_TOTAL": str(self.shards() if job == "shard" else 1),
            **site.settings,
        }
        code, output = 0, ""
        for step in self._steps(job):
            command = step.get("run") if step != "checkout" else None
            if command is None or (code and command.get("when") != "always"):
                continue
            text = command["command"].replace(IMAGE, site.image)
            ended = on_the_agent(["/bin/bash", "-eo", "pipefail", "-c", text], site, variables)
            code, output = code or ended.code, output + ended.output
        return Ended(code, output)

    def published(self, job: str, site: Site) -> list[str]:
        (path,) = [step["store_artifacts"]["path"] for step in self._steps(job) if "store_artifacts" in step]
        return kept(site, [f"{path}/"])


class Azure:
    """An agent on which bash runs each script from a file; secrets reach only the steps that map them."""

    file = "ci/azure-pipelines.yml"
    facts: ClassVar = {"ci": "azure", "commit": COMMIT, "branch": "fix", "base_branch": "main"}
    secrets = ("PHOENIX_API_KEY",)

    def _job(self, name: str) -> dict[str, Any]:
        return next(job for job in document(self.file)["jobs"] if job["job"] == name)

    def shards(self) -> int:
        return int(self._job("shard")["strategy"]["parallel"])

    def run(self, job: str, site: Site, index: int = 0) -> Ended:
        definition = self._job(job)
        total = self.shards() if job == "shard" else 1
        variables = {
            "TF_BUILD": "True",
            "BUILD_SOURCEVERSION": COMMIT,
            "BUILD_SOURCEBRANCH": "refs/pull/5/merge",
            "BUILD_SOURCEBRANCHNAME": "merge",
            "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/fix",
            "SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/main",
            "SYSTEM_COLLECTIONURI": "https://azure.example/team/",
            "SYSTEM_TEAMPROJECT": "app",
            "BUILD_BUILDID": site.run,
            "SYSTEM_PHASENAME": job,
            "SYSTEM_JOBPOSITIONINPHASE": str(index + 1),
            "SYSTEM_TOTALJOBSINPHASE": str(total),
        }
        own = {one["name"]: one["value"] for one in document(self.file)["variables"] if "name" in one}
        macros = {**own, **site.settings}
        variables |= {name: value for name, value in site.settings.items() if name not in self.secrets}
        code, output = 0, ""
        for step in definition["steps"]:
            if "script" not in step or (code and step.get("condition") != "always()"):
                continue
            mapped = {name: _expanded(value, macros) for name, value in step.get("env", {}).items()}
            script = site.checkout.with_name(f"{uuid.uuid4().hex}.sh")
            script.write_text(_expanded(step["script"], macros).replace(IMAGE, site.image))
            ended = on_the_agent(["/bin/bash", "--noprofile", "--norc", str(script)], site, {**variables, **mapped})
            code, output = code or ended.code, output + ended.output
        return Ended(code, output)

    def published(self, job: str, site: Site) -> list[str]:
        (step,) = [step for step in self._job(job)["steps"] if "publish" in step]
        assert step["condition"] == "succeededOrFailed()"
        return kept(site, [f"{step['publish']}/"])


def _expanded(text: str, macros: Variables) -> str:
    """A text of Azure's with its macros; one that is not known stays as it is."""
    return re.sub(r"\$\(([\w.]+)\)", lambda macro: macros.get(macro[1], macro[0]), text)


class Buildkite:
    """`docker run` by the Docker plugin: the image's entrypoint, arguments and no shell, variables by name, an init."""

    file = "ci/buildkite.yml"
    facts: ClassVar = {"ci": "buildkite", "commit": COMMIT, "branch": "fix", "base_branch": "main"}

    def _step(self, job: str) -> dict[str, Any]:
        return next(step for step in document(self.file)["steps"] if step.get("key") == job)

    def shards(self) -> int:
        return int(self._step("shard")["parallelism"])

    def run(self, job: str, site: Site, index: int = 0) -> Ended:
        step = self._step(job)
        variables = {
            "BUILDKITE": "true",
            "BUILDKITE_COMMIT": COMMIT,
            "BUILDKITE_BRANCH": "fix",
            "BUILDKITE_PULL_REQUEST": "false",
            "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "",
            "BUILDKITE_PIPELINE_DEFAULT_BRANCH": "main",
            "BUILDKITE_BUILD_ID": site.run,
            "BUILDKITE_STEP_ID": f"{job}-{site.run}",
            **site.settings,
        }
        if "parallelism" in step:
            variables |= {
                "BUILDKITE_PARALLEL_JOB": str(index),
                "BUILDKITE_PARALLEL_JOB_COUNT": str(step["parallelism"]),
            }
        ((plugin, asked),) = step["plugins"][0].items()
        assert plugin.startswith("docker#v5.")
        assert set(asked) <= {
            *("image", "command", "propagate-uid-gid", "tmpfs", "drop-caps", "security-opts", "tty", "environment")
        }
        assert asked["tty"] is False
        lists = {
            "tmpfs": "--tmpfs",
            "drop-caps": "--cap-drop",
            "security-opts": "--security-opt",
            "environment": "--env",
        }
        options = [word for key, flag in lists.items() for value in asked[key] for word in (flag, value)]
        place = ("--volume", f"{site.checkout}:/workdir", "--workdir", "/workdir", "--init")
        user = ("-u", f"{STRANGER}:{STRANGER}") if asked["propagate-uid-gid"] else ()
        for path in (site.checkout, *site.checkout.rglob("*")):
            os.chown(path, STRANGER, STRANGER)
        command = (site.here(asked["image"]), *asked["command"])
        return site.container("-i", *place, *user, *options, *command, environ=variables)

    def published(self, job: str, site: Site) -> list[str]:
        return kept(site, self._step(job)["artifact_paths"])


# --- pods ------------------------------------------------------------------------------------------------

OPENSHIFT_USER = "1000680000:0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A container of a pod, run as the kubelet would: read-only where it says so, as any user but root."""

    container: Mapping[str, Any]
    volumes: Mapping[str, Path]  # on the disk of the node, by name
    environ: Variables = field(default_factory=dict)

    def run(self, site: Site, image: str, *, mounts: Sequence[str] = ()) -> Ended:
        container = self.container
        security = container["securityContext"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        hardened = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
        options = [*hardened, "--user", OPENSHIFT_USER]
        for mount in container["volumeMounts"]:
            mode = "ro" if mount.get("readOnly") else "rw"
            options += ["-v", f"{self.volumes[mount['name']]}:{mount['mountPath']}:{mode}"]
        variables = {**self.environ, **variables_of(container, site.settings)}
        command = list(container.get("command", ()))
        if command:  # it takes the place of the image's entrypoint
            options += ["--entrypoint", command[0]]
        words = (image, *command[1:], *container.get("args", ()))
        return site.container(*options, *mounts, *named(variables), *words)


def variables_of(container: Mapping[str, Any], secret: Variables) -> dict[str, str]:
    """The variables of a container; the secret `phoenix` is in the cluster."""
    found = {}
    for source in container.get("envFrom", ()):
        assert source == {"secretRef": {"name": "phoenix"}}
        found |= secret
    for one in container.get("env", ()):
        if "value" in one:
            found[one["name"]] = one["value"]
        else:
            reference = one["valueFrom"]["secretKeyRef"]
            assert reference["name"] == "phoenix"
            found[one["name"]] = secret[reference["key"]]
    return found


def empty_folder(site: Site) -> Path:
    """An emptyDir: a folder that everybody may write to."""
    folder = site.checkout.with_name(f"empty-{uuid.uuid4().hex[:8]}")
    folder.mkdir()
    folder.chmod(0o777)
    return folder


class Kubernetes:
    """Pods of Jobs; an Indexed one tells each pod its index, and nothing of its siblings."""

    file = "ci/kubernetes.yaml"
    facts: ClassVar = {}
    folder = EXAMPLES / "kubernetes"

    def shards(self) -> int:
        return int(self._jobs("shard")["spec"]["completions"])

    def _manifests(self, job: str) -> list[dict[str, Any]]:
        path = (
            EXAMPLES / self.file
            if job == "evaluate"
            else self.folder / {"shard": "shards.yaml", "gate": "gate.yaml"}[job]
        )
        return list(yaml.safe_load_all(path.read_text()))

    def _jobs(self, job: str) -> dict[str, Any]:
        return next(one for one in self._manifests(job) if one["kind"] == "Job")

    def run(self, job: str, site: Site, index: int = 0) -> Ended:
        definition = self._jobs(job)["spec"]
        pod = definition["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["restartPolicy"] == "Never"
        (container,) = pod["containers"]
        volumes = {volume["name"]: self._volume(job, site, volume) for volume in pod["volumes"]}
        environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
        if definition.get("completionMode") == "Indexed":
            environ["JOB_COMPLETION_INDEX"] = str(index)
        container = substituted(container, {"run-1": f"run-{site.run}"})
        ended = Pod(container=container, volumes=volumes, environ=environ).run(
            site, self._image(site, container["image"])
        )
        shutil.copytree(volumes["reports"], site.reports, dirs_exist_ok=True)
        return ended

    def _volume(self, job: str, site: Site, volume: Mapping[str, Any]) -> Path:
        folder = empty_folder(site)
        if "configMap" not in volume:
            assert volume["emptyDir"] == {}
            return folder
        asked = volume["configMap"]
        (found,) = [
            one
            for one in self._manifests(job)
            if one["kind"] == "ConfigMap" and one["metadata"]["name"] == asked["name"]
        ]
        # the kubelet puts the files beside, and changes them all at once by one link
        for item in asked["items"]:
            path = folder / "..2026_01_02" / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(found["data"][item["key"]])
        (folder / "..data").symlink_to("..2026_01_02")
        for name in {item["path"].split("/")[0] for item in asked["items"]}:
            (folder / name).symlink_to(f"..data/{name}")
        return folder

    def _image(self, site: Site, name: str) -> str:
        if name != DERIVED_IMAGE:
            return site.here(name)
        dockerfile = site.here((self.folder / "Dockerfile").read_text())
        built = site.docker("build", "-q", "--label", site.label, "-f", "-", str(site.checkout), stdin=dockerfile)
        return built.stdout.strip()

    def published(self, job: str, site: Site) -> list[str]:
        """What the comments say to publish: there is no store of artifacts."""
        return kept(site, [f"{REPORTS}/"], [f"{REPORTS}/journal_*"])


class Tekton:
    """A pod for each task; Tekton has an entrypoint of its own, and starts the step's command from it."""

    file = "ci/tekton.yaml"
    facts: ClassVar = {}
    workspace = "/workspace/source"

    def _of(self, kind: str, name: str) -> dict[str, Any]:
        return next(
            one["spec"]
            for one in yaml.safe_load_all((EXAMPLES / self.file).read_text())
            if one["kind"] == kind and one["metadata"].get("name") == name
        )

    def _pipeline_task(self, job: str) -> dict[str, Any]:
        pipeline = self._of("Pipeline", "evalwire" if job == "evaluate" else "evalwire-sharded")
        return next(task for task in (*pipeline["tasks"], *pipeline.get("finally", ())) if task["name"] == job)

    def _shard_values(self) -> list[str]:
        (parameter,) = self._pipeline_task("shard")["matrix"]["params"]
        assert parameter["name"] == "shard"
        return list(parameter["value"])

    def shards(self) -> int:
        return len(self._shard_values())

    def run(self, job: str, site: Site, index: int = 0) -> Ended:
        task = self._of("Task", "evalwire")
        parameters = {one["name"]: one.get("default") for one in task["params"]}
        parameters |= {one["name"]: one["value"] for one in self._pipeline_task(job)["params"]}
        if job == "shard":
            parameters["shard"] = self._shard_values()[index]
        (step,) = task["steps"]
        assert step["securityContext"]["runAsNonRoot"] is True
        assert step["args"] == ["$(params.arguments[*])"]
        step["args"] = parameters.pop("arguments")  # an array becomes as many arguments
        texts = {f"$(params.{name})": value for name, value in parameters.items()}
        step = substituted(step, {**texts, "$(workspaces.source.path)": self.workspace})
        step = substituted(step, {"$(context.pipelineRun.uid)": site.run})
        assert "$(" not in str(step)
        writable(site)  # by its group, which is the pod's fsGroup
        volumes = {volume["name"]: empty_folder(site) for volume in task["volumes"]}
        mounts = ("-v", f"{site.checkout}:{self.workspace}", "-w", step["workingDir"])
        return Pod(container=step, volumes=volumes).run(site, site.here(step["image"]), mounts=mounts)

    def published(self, job: str, site: Site) -> list[str]:
        """What the comments say to publish: there is no store of artifacts."""
        return kept(site, [f"{REPORTS}/"], [f"{REPORTS}/journal_*"])


SYSTEMS: tuple[System, ...] = (
    GitLab(),
    Jenkins(),
    CircleCI(),
    Azure(),
    Bitbucket(),
    Buildkite(),
    Tekton(),
    Kubernetes(),
)
