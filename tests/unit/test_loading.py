"""Heavy modules are loaded past the project's folder, lazily, and in this thread only."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest

from evalwire import loading


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first on `sys.path`, as that of a project does."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def library(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])


def test_a_library_wins_over_a_module_of_the_project(project, tmp_path_factory, monkeypatch):
    library(tmp_path_factory.mktemp("site"), "shadowed_library", "OWNER = 'library'", monkeypatch)
    (project / "shadowed_library.py").write_text("OWNER = 'project'")
    with loading.project_directory(str(project)):
        assert loading.load("shadowed_library").OWNER == "library"
    del sys.modules["shadowed_library"]


def test_a_module_that_only_the_project_has_is_no_library(project):
    (project / "only_here.py").write_text("")
    with (
        loading.project_directory(str(project)),
        pytest.raises(ModuleNotFoundError, match="a module of your project has this name"),
    ):
        loading.load("only_here")


def test_a_library_that_imports_another_does_not_get_the_projects(project, tmp_path_factory, monkeypatch):
    site = tmp_path_factory.mktemp("site")
    library(
        site,
        "outer_library",
        "try:\n    import optional_part\nexcept ImportError:\n    optional_part = None\n",
        monkeypatch,
    )
    (project / "optional_part.py").write_text("")
    with loading.project_directory(str(project)):
        assert loading.load("outer_library").optional_part is None
    del sys.modules["outer_library"]


def test_an_optional_package_is_left_out_in_this_thread_alone(tmp_path_factory, monkeypatch):
    site = tmp_path_factory.mktemp("site")
    library(site, "heavy_part", "", monkeypatch)
    text = (
        "import importlib, threading\n"
        "found = []\n"
        "other = threading.Thread(target=lambda: found.append(importlib.import_module('heavy_part')))\n"
        "try:\n"
        "    import heavy_part\n"
        "except ImportError:\n"
        "    heavy_part = None\n"
        "other.start()\n"
        "other.join()\n"
    )
    library(site, "light_library", text, monkeypatch)
    light = loading.load("light_library", without="heavy_part")
    assert light.heavy_part is None
    assert [module.__name__ for module in light.found] == ["heavy_part"]
    del sys.modules["heavy_part"]
    assert loading.load("heavy_part").__name__ == "heavy_part", "it is there for everybody"
    del sys.modules["light_library"], sys.modules["heavy_part"]


def test_other_threads_still_find_the_project(project, tmp_path_factory, monkeypatch):
    meanwhile, found = threading.Event(), threading.Event()
    (project / "neighbour.py").write_text("")

    def work() -> None:
        meanwhile.wait(10)
        import neighbour  # noqa: F401

        found.set()

    monkeypatch.setattr(loading, "_test_hook", types.SimpleNamespace(go=meanwhile, found=found), raising=False)
    text = "from evalwire import loading\nloading._test_hook.go.set()\nassert loading._test_hook.found.wait(10)\n"
    library(tmp_path_factory.mktemp("site"), "slow_library", text, monkeypatch)
    thread = threading.Thread(target=work)
    thread.start()
    with loading.project_directory(str(project)):
        loading.load("slow_library")
    thread.join()
    for name in ("slow_library", "neighbour"):
        del sys.modules[name]


LOADS = """
import sys
from evalwire import loading
sys.path[:0] = [{project!r}, {site!r}]
sys.dont_write_bytecode = True  # as while a project is imported
with loading.project_directory({project!r}):
    loading.load("kept_library")
assert sys.dont_write_bytecode
"""


@pytest.mark.parametrize(("flags", "is_kept"), [([], True), (["-B"], False)])
def test_bytecode_is_kept_of_libraries_unless_python_was_told_otherwise(tmp_path, flags, is_kept):
    """And the setting is afterwards as it was."""
    project, site = tmp_path / "project", tmp_path / "site"
    project.mkdir()
    site.mkdir()
    (site / "kept_library.py").write_text("")
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    code = LOADS.format(project=str(project), site=str(site))
    subprocess.run([sys.executable, *flags, "-c", code], check=True, env=environ)
    assert bool(list(site.glob("__pycache__/kept_library.*.pyc"))) == is_kept


def test_a_lazy_name_is_imported_once_when_it_is_used(tmp_path, monkeypatch):
    package = tmp_path / "lazy_package"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from evalwire.loading import lazy_names\n__getattr__ = lazy_names(__name__, {'Heavy': 'heavy', 'heavy': 'heavy'})\n"
    )
    (package / "heavy.py").write_text("class Heavy: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import lazy_package

    assert "lazy_package.heavy" not in sys.modules
    assert lazy_package.Heavy is sys.modules["lazy_package.heavy"].Heavy
    assert lazy_package.heavy is sys.modules["lazy_package.heavy"]
    with pytest.raises(AttributeError, match="has no attribute 'Light'"):
        _ = lazy_package.Light
    for name in ("lazy_package", "lazy_package.heavy"):
        del sys.modules[name]


@pytest.mark.parametrize("is_enabled", [True, False])
def test_garbage_is_not_collected_during_an_import_and_then_as_before(is_enabled, tmp_path_factory, monkeypatch):
    text = "import gc\n\nIS_ENABLED = gc.isenabled()\n"
    library(tmp_path_factory.mktemp("site"), f"collecting_{is_enabled}".lower(), text, monkeypatch)
    (gc.enable if is_enabled else gc.disable)()
    try:
        assert loading.load(f"collecting_{is_enabled}".lower()).IS_ENABLED is False
        assert gc.isenabled() is is_enabled
    finally:
        gc.enable()


def test_garbage_is_collected_again_once_no_thread_puts_it_off():
    inside, left = threading.Event(), threading.Event()

    def put_off():
        with loading.uncollected():
            inside.set()
            left.wait(10)

    thread = threading.Thread(target=put_off)
    with loading.uncollected():
        thread.start()
        assert inside.wait(10)
    assert not gc.isenabled()
    left.set()
    thread.join()
    assert gc.isenabled()
