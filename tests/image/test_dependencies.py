"""Packages of the user's own: in an image made from this one, over it at the start, and as code that is mounted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

pytestmark = pytest.mark.image

PAGE = Path(__file__).parents[2] / "docs" / "dependencies.md"
STRANGER = ("--user", "54321:54321")  # no entry in /etc/passwd, not in group 0
LOCKED_DOWN = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")

TASK = """
import os
import sys
import time

{imports}


def task(input):
    if os.environ.get("DO") == "fail":
        raise LookupError("nobody of that name")
    if os.environ.get("DO") == "wait":
        sys.stdout.write("waiting\\n")
        time.sleep(600)
    return f"Hello {{input['user_query']}}"
"""
EXACT_MATCH = "def exact_match(output, expected):\n    return output == expected['expected_output']\n"

PYPROJECT = """\
[project]
name = "{name}"
version = "{version}"

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# makes a wheel of the modules beside it, and needs nothing but Python to do so
BACKEND = """
import pathlib
import time
import zipfile

NAME, VERSION, SECONDS = {name!r}, {version!r}, {seconds!r}


def build_wheel(folder, config_settings=None, metadata_directory=None):
    time.sleep(SECONDS)
    about = f"{{NAME}}-{{VERSION}}.dist-info"
    files = {{path.name: path.read_text() for path in pathlib.Path("modules").iterdir()}}
    files[f"{{about}}/METADATA"] = f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n"
    files[f"{{about}}/WHEEL"] = "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[f"{{about}}/RECORD"] = "".join(f"{{name}},,\\n" for name in files)
    wheel = f"{{NAME}}-{{VERSION}}-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, wheel), "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel
"""


def _write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _experiment(imports):
    folder = "experiments/greeting"
    return {f"{folder}/task.py": TASK.format(imports=imports), f"{folder}/exact_match.py": EXACT_MATCH}


def _package(name, *modules, version="1.0", seconds=0):
    """A package that is built without a network, asked for as `./NAME`."""
    return {
        f"{name}/pyproject.toml": PYPROJECT.format(name=name, version=version),
        f"{name}/backend.py": BACKEND.format(name=name, version=version, seconds=seconds),
        **{f"{name}/modules/{module}": "" for module in modules},
    }


@pytest.fixture
def work(tmp_path):
    """A team's repository; its task imports what the image lacks."""
    _write(
        tmp_path / "work",
        {**_experiment("import tabulate"), "requirements.txt": "-r more/other.txt\n", "more/other.txt": "tabulate\n"},
    )
    return tmp_path / "work"


@pytest.fixture
def overlaid(evalwire, work):
    """evalwire in that repository, mounted read-only, with the packages that a file of it names."""

    def run(*command, requirements="requirements.txt", options=(), **environ):
        mount = ("-v", f"{work}:/work:ro")
        return evalwire(*command, options=(*mount, *options), EVALWIRE_REQUIREMENTS=requirements, **environ)

    return run


# --- an image of the team's own ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def commands_of_the_page():
    """What the page says to write and to run, by its headings of the second level."""
    found, heading, tokens = [], "", MarkdownIt().parse(PAGE.read_text())
    for index, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            heading = tokens[index + 1].content
        elif token.type == "fence":
            found.append((heading, token.info.partition(" ")[0], token.content))
    return found


def test_the_page_works_word_for_word(docker, image, phoenix, commands_of_the_page, work):
    """Its Dockerfiles are built as they are, its commands run as they are, and pass; only the images are the session's."""
    pyproject = '[project]\nname = "answers"\nversion = "1"\ndependencies = ["tabulate"]\n'
    build_system = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    _write(work, {"pyproject.toml": pyproject + build_system, "src/answers/__init__.py": ""})
    _write(work, {"requirements.txt": "tabulate\n"})
    mine = f"{image}-mine"
    options = f"docker run --label {docker.label} {' '.join(phoenix.options[:2])}"
    environ = {**os.environ, "DOCKER_BUILDKIT": "1", "PHOENIX_ENDPOINT": phoenix.options[-1].partition("=")[2]}
    passed = 0
    try:
        for heading, language, text in commands_of_the_page:
            own_code = heading == "Code of your repository"
            _write(work, _experiment("import answers" if own_code else "import tabulate"))
            if language == "dockerfile":
                assert len(text.splitlines()) == 5
                (work / "Dockerfile").write_text(text.replace("FROM evalwire", f"FROM {image}"))
                if own_code:
                    docker("build", "-q", "-t", mine, str(work), timeout=280)
            for line in text.replace("\\\n", "").splitlines() if language == "sh" else ():
                command = re.sub(r" evalwire$", f" {image}", line).replace("my-evals", mine)
                command = command.replace("docker run", options)
                ended = subprocess.run(
                    ["bash", "-c", command], cwd=work, env=environ, capture_output=True, text=True, timeout=280
                )
                assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
                passed += ended.stdout.startswith("PASSED: 1 experiment, 3 examples")
        assert passed == sum(text.count("docker run") for _, _, text in commands_of_the_page) >= 3
        where = docker("run", "--rm", mine, "python", "-c", "import answers, tabulate; print(answers.__file__)").stdout
        assert where == "/work/src/answers/__init__.py\n"
    finally:
        docker("image", "rm", mine, check=False)


def test_an_image_made_from_this_one_is_as_clean(docker, image, work):
    """What was installed is compiled, no cache is in the image, and its own user can change nothing."""
    (work / "Dockerfile").write_text(f"FROM {image}\nUSER 0\nRUN evalwire-install tabulate evalwire\nUSER 12021:0\n")
    name = docker("build", "-q", str(work), timeout=280).stdout.strip()
    look = "find /app ! -type l -writable; find /tmp /root -mindepth 1 ! -name '.bashrc' ! -name .profile; "
    found = docker("run", "--rm", name, "sh", "-c", look + "find /app -path '*/tabulate/__pycache__/__init__.*.pyc'")
    docker("image", "rm", name, check=False)
    (compiled,) = found.stdout.splitlines()
    assert compiled.endswith(".pyc")


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (("httpx<0.28",), 1, "No solution found"),
        (("evalwire==0.6.0",), 1, "No solution found"),
        (
            ("./httpx",),
            1,
            "these packages are part of the image and cannot be replaced. Remove them from your requirements:\nhttpx==0.28.1",
        ),
        ((), 2, "usage: evalwire-install"),
    ],
    ids=["another version", "another evalwire", "the same from elsewhere", "nothing"],
)
def test_an_installation_into_the_image_does_not_replace_what_it_has(evalwire, work, command, code, said):
    """The build fails there, and says which package it is about."""
    _write(work, _package("httpx", "httpx.py", version="0.28.1"))
    ended = evalwire("evalwire-install", *command, options=("--user", "0", "-v", f"{work}:/work"))
    assert ended.returncode == code
    assert said in ended.stderr


def test_an_installation_into_the_image_is_roots(evalwire):
    """Any other user is told where the command goes in a Dockerfile."""
    ended = evalwire("evalwire-install", "tabulate")
    assert ended.returncode == 1
    assert "user 12021 cannot write to /app/venv" in ended.stderr
    assert "between `USER 0` and `USER 12021:0`" in ended.stderr


# --- packages at the start -----------------------------------------------------------------------------


def test_packages_at_the_start_need_no_right(overlaid, phoenix):
    """Any user, a read-only root and no capability will do; stdout has the report alone."""
    finished = overlaid(options=(*STRANGER, *LOCKED_DOWN, *phoenix.options))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("PASSED: 1 experiment, 3 examples, none failed")
    assert "+ tabulate==" in finished.stderr
    assert "warning" not in finished.stderr


def test_the_exit_code_is_evalwires(overlaid, phoenix):
    """A task that fails is 1, as without a file of requirements."""
    finished = overlaid(options=phoenix.options, DO="fail")
    assert finished.returncode == 1
    assert finished.stdout.startswith("FAILED: 1 experiment, 3 examples")


@pytest.mark.parametrize(("signal", "code"), [("TERM", 143), pytest.param("INT", 130, marks=pytest.mark.slow)])
@pytest.mark.parametrize("during", ["installation", "run"])
def test_signals_are_evalwires(docker, image, phoenix, work, during, signal, code):
    """SIGTERM and SIGINT end the first process at once, whatever it does at the time."""
    _write(work, {**_package("slow", "slow.py", seconds=600), "slow.txt": "./slow\n"})
    sign, file = ("Building slow", "slow.txt") if during == "installation" else ("waiting", "requirements.txt")
    environ = (f"EVALWIRE_REQUIREMENTS={file}", "DO=wait", "EVALWIRE_GRACE_SECONDS=1")
    options = (*(word for one in environ for word in ("-e", one)), *phoenix.options, "-v", f"{work}:/work")
    container = docker("run", "-d", "--label", docker.label, *options, image).stdout.strip()
    deadline = time.monotonic() + 60
    while sign not in (logs := docker("logs", container)).stdout + logs.stderr:
        assert time.monotonic() < deadline, logs.stderr
        time.sleep(0.2)
    docker("kill", "-s", signal, container)
    docker("wait", container, timeout=30)
    assert json.loads(docker("inspect", "-f", "{{json .State.ExitCode}}", container).stdout) == code


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("httpx<0.28", "conflicts with package versions of the image"),
        ("evalwire==0.6.0", "conflicts with package versions of the image"),
        ("./httpx", "replaces packages of the image: httpx"),
    ],
    ids=["another version", "another evalwire", "the same from elsewhere"],
)
def test_a_conflict_with_the_image_is_wrong_use(overlaid, work, requirement, said):
    """Nothing runs with other versions than evalwire was tested with."""
    _write(work, {"conflict.txt": f"{requirement}\n", **_package("httpx", "httpx.py", version="0.28.1")})
    finished = overlaid("list", requirements="conflict.txt")
    assert finished.returncode == 2, finished.stderr
    assert f"evalwire: EVALWIRE_REQUIREMENTS: conflict.txt {said}" in finished.stderr


def test_a_package_that_brings_a_module_of_the_image_does_not_hide_it(overlaid, work):
    """The image's packages come first, in evalwire and in the processes that a task starts."""
    command = "import httpx, own, sys; sys.stdout.write(httpx.__version__)"
    task = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {command!r}], check=True)\n{command}"
    _write(work, {**_experiment(task), **_package("sly", "httpx.py", "own.py"), "requirements.txt": "./sly\n"})
    finished = overlaid("list")
    assert finished.returncode == 0, finished.stdout
    assert "own" not in finished.stdout


LOOK_AROUND = """
import importlib.metadata, shutil
names = [package.name for package in importlib.metadata.distributions()]
assert len(names) == len(set(names)), names
assert {"evalwire", "httpx", "tabulate"} <= set(names)
assert shutil.which("tabulate")
"""


def test_what_was_installed_looks_installed(overlaid, work):
    """Python lists each package once, the image's and the added ones, and their programs are on the PATH."""
    _write(work, _experiment(LOOK_AROUND))
    finished = overlaid("list")
    assert finished.returncode == 0, finished.stdout


def test_evalwire_itself_may_be_asked_for(overlaid, work):
    """A file that is also used elsewhere may name it; the image's own is taken, and not fetched."""
    _write(work, {"requirements.txt": "evalwire[schema]>=0.1.dev0\ntabulate\n"})
    finished = overlaid("list")
    assert finished.returncode == 0, finished.stderr
    assert "+ evalwire" not in finished.stderr


def test_a_project_can_be_named(overlaid, work):
    """The dependencies of a `pyproject.toml` are installed."""
    _write(work, {"pyproject.toml": '[project]\nname = "answers"\nversion = "1"\ndependencies = ["tabulate"]\n'})
    finished = overlaid("list", requirements="pyproject.toml")
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    ("name", "mode", "said"),
    [
        ("no-such.txt", 0o644, "no-such.txt is not a file in /work"),
        ("requirements.txt", 0o600, "requirements.txt is not readable by user 54321"),
    ],
)
def test_a_file_that_cannot_be_read_is_wrong_use(overlaid, work, name, mode, said):
    """A file that was named and is not there, or is not for this user, is exit 2."""
    (work / "requirements.txt").chmod(mode)
    finished = overlaid(requirements=name, options=STRANGER)
    assert finished.returncode == 2
    assert finished.stderr == f"evalwire: EVALWIRE_REQUIREMENTS: {said}" + finished.stderr.partition(said)[2]


@pytest.mark.parametrize("requirements", [None, ""], ids=["unset", "empty"])
def test_a_file_that_nobody_named_is_not_installed(evalwire, work, requirements):
    """That there is a requirements.txt is nobody's wish to install it."""
    environ = {} if requirements is None else {"EVALWIRE_REQUIREMENTS": requirements}
    finished = evalwire("list", options=("-v", f"{work}:/work:ro"), **environ)
    assert finished.returncode == 1
    assert "No module named 'tabulate'" in finished.stdout
    assert "Installed" not in finished.stderr


def test_a_mounted_cache_replaces_the_network(overlaid, tmp_path):
    """What the first start has fetched, the second has without a network; as any user, on another file system."""
    cache = tmp_path / "cache"
    cache.mkdir()
    user = ("--user", f"{os.getuid()}:54321")
    options = (*user, *LOCKED_DOWN, "-v", f"{cache}:/cache", "-e", "UV_CACHE_DIR=/cache")
    first = overlaid("list", options=options)
    assert first.returncode == 0, first.stderr
    second = overlaid("list", options=(*options, "--network", "none"), UV_OFFLINE="1")
    assert second.returncode == 0, second.stderr
    assert second.stdout == first.stdout
    assert "warning" not in second.stderr


def test_a_password_of_an_index_is_not_shown(overlaid):
    """An index that does not answer is a failure that names it, without the password in its address."""
    index = "http://robot:a-password-0123@127.0.0.1:9/simple"
    finished = overlaid("list", UV_DEFAULT_INDEX=index, UV_HTTP_RETRIES="0")
    assert finished.returncode == 1
    assert "requirements.txt could not be installed" in finished.stderr
    assert "127.0.0.1:9" in finished.stderr
    assert "a-password" not in finished.stdout + finished.stderr


def test_a_wrong_hash_is_no_conflict(overlaid, work):
    """A package that is not the one whose hash is given is not installed; that is a failure, and not wrong use."""
    _write(work, {"requirements.txt": f"tabulate==0.9.0 --hash=sha256:{'0' * 64}\n"})
    finished = overlaid("list")
    assert finished.returncode == 1
    assert "Hash mismatch" in finished.stderr
    assert "requirements.txt could not be installed" in finished.stderr


def test_uvs_settings_in_the_mounted_folder_do_not_count_unless_named(overlaid, work):
    """A `uv.toml` beside the experiments cannot choose the index; one that is named can."""
    _write(work, {"uv.toml": '[[index]]\nurl = "http://127.0.0.1:9/simple"\ndefault = true\n'})
    assert overlaid("list").returncode == 0
    named = overlaid("list", UV_CONFIG_FILE="uv.toml", UV_HTTP_RETRIES="0")
    assert named.returncode == 1
    assert "127.0.0.1:9" in named.stderr


@pytest.mark.parametrize(("tmpfs", "code"), [("/tmp", 1), ("/tmp:exec", 0)])
def test_compiled_code_where_nothing_is_executed_is_named(overlaid, work, tmpfs, code):
    """Docker mounts a tmpfs `noexec`: a package with compiled code is then named before its import fails."""
    _write(work, {**_experiment(""), **_package("fast", "fast.so"), "requirements.txt": "./fast\n"})
    finished = overlaid("list", options=("--read-only", "--tmpfs", tmpfs))
    assert finished.returncode == code, finished.stderr
    assert ("includes compiled code (fast.so), but /tmp is mounted `noexec`" in finished.stderr) == bool(code)


def test_a_root_with_nothing_to_write_is_named(overlaid):
    """Without a /tmp there is no place for the packages, and the message has the option that makes one."""
    finished = overlaid("list", options=("--read-only",))
    assert finished.returncode == 1
    assert "--tmpfs /tmp:exec" in finished.stderr


def test_a_shell_takes_the_entrypoint(overlaid):
    """A CI system that starts a shell has evalwire with the packages by the entrypoint's name; other commands go without."""
    assert overlaid("sh", "-c", "/app/entrypoint.sh list").returncode == 0
    assert overlaid("evalwire", "list").returncode == 0
    assert overlaid("python", "-c", "import tabulate").returncode == 1


# --- code of the repository ----------------------------------------------------------------------------


def test_a_package_in_src_is_importable(evalwire, work):
    """PYTHONPATH names the folder of a src layout; a package beside the experiments needs nothing."""
    _write(work, {**_experiment("import answers, beside"), "src/answers/__init__.py": "", "beside/__init__.py": ""})
    mount = ("-v", f"{work}:/work:ro")
    assert evalwire("list", options=mount, PYTHONPATH="/work/src").returncode == 0
    assert "No module named 'answers'" in evalwire("list", options=mount).stdout
