"""Make the pictures of the pages: the demo on main, then with a router that unlearned most, on a branch; `make pictures`."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import browser
import github_page
from rich.console import Console
from rich.text import Text

from conftest import quiet_environment
from evalwire.reports import console
from evalwire.reports.results_json import load_results

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
WIDTH = 80  # characters of the terminal
CI = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": "0123456789abcdef", "GITHUB_REF_NAME": "main"}
BRANCH = {"GITHUB_REF_NAME": "7/merge", "GITHUB_HEAD_REF": "smaller-router", "GITHUB_BASE_REF": "main"}
LEARNS = "update(terms(text))"
OPEN_RUN = "document.querySelector('.changes a').click()"
FILTER = "location.hash = '?kind=worse'"


def run(demo: Path, **environ: str) -> int:
    """Run the demo as a user in CI would."""
    command = [sys.executable, "-m", "evalwire", "run", "--local", "--quiet"]
    return subprocess.run(
        command, cwd=demo, env=quiet_environment(**{**CI, **environ}), stdout=subprocess.DEVNULL
    ).returncode


def take_report(chromium: browser.Browser, address: str, name: str, *, step: str = "0", **screen: int | bool) -> None:
    """Take a picture of the report after a step in the page."""
    with chromium.page(**screen) as page:
        page.open(address)
        page.wait_for("document.getElementById('f-status').textContent !== ''")
        page.js(f"{step}; 0")
        page.js("new Promise(done => setTimeout(done, 500))")
        (PICTURES / f"{name}.png").write_bytes(page.picture())


def main() -> None:
    """Write docs/pictures/."""
    program = browser.find()
    if program is None:
        sys.exit("there is no Chromium to make pictures with; install Debian's chromium")
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo"
        shutil.copytree(ROOT / "examples", demo, ignore=shutil.ignore_patterns(".evalwire", "test-results"))
        if run(demo) != 0:
            sys.exit("the demo is red on main")
        router = demo / "agent" / "router.py"
        router.write_text(router.read_text().replace(LEARNS, "update(terms(text)[:1])"))
        if run(demo, **BRANCH) != 1:
            sys.exit("the broken demo is not red")
        PICTURES.mkdir(exist_ok=True)
        report = load_results(demo / "test-results" / "results.json")
        screen = Console(record=True, width=WIDTH, file=io.StringIO())
        screen.print(Text.from_ansi(console.render(report, color=True, width=WIDTH)))
        screen.save_svg(str(PICTURES / "console.svg"), title="evalwire run")
        comment = demo / "comment.html"
        comment.write_text(github_page.page((demo / "test-results" / "summary.md").read_text()))
        with browser.browser(program) as chromium:
            address = (demo / "test-results" / "report.html").as_uri()
            take_report(chromium, address, "report")
            take_report(chromium, address, "report-run", step=OPEN_RUN)
            take_report(chromium, address, "report-filter", step=FILTER)
            take_report(chromium, address, "report-dark", step=OPEN_RUN, dark=True)
            take_report(chromium, address, "report-phone", step=OPEN_RUN, width=390, height=844)
            with chromium.page(width=github_page.WIDTH, height=900) as page:
                page.open(comment.as_uri())
                (PICTURES / "comment.png").write_bytes(page.picture(whole=True))


if __name__ == "__main__":
    main()
