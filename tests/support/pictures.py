"""Make the pictures of the pages: the demo on main, whose router learns more and more, then with a router that unlearned
most, on a branch; `make pictures`.
"""

from __future__ import annotations

import io
import os
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
from evalwire import labeling
from evalwire.judges import labels_csv
from evalwire.model import Label
from evalwire.model.labels import FAILED, PASSED
from evalwire.phoenix.local import local_phoenix
from evalwire.reports import console
from evalwire.reports.results_json import load_results

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
WIDTH = 80  # characters of the terminal
CI = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REF_NAME": "main",
    "EVALWIRE_PUBLIC_ENDPOINT": "https://phoenix.example.com",
    "EVALWIRE_SYNC": "true",
}
COMMITS = ("3f2a9c1e", "8b41d07a", "c95e3fb2", "0123456789abcdef")
BRANCH = {"GITHUB_REF_NAME": "7/merge", "GITHUB_HEAD_REF": "smaller-router", "GITHUB_BASE_REF": "main"}
LEARNS = "update(terms(text))"
LESS = ("[:3]", "[:4]", "[:6]", "")  # the words of a text that the router learns, commit by commit
MOST_TRIES = 5
OPEN_RUN = "document.querySelector('.changes a').click()"
TREND = "[...document.querySelectorAll('h3')].find(head => head.textContent === 'History').scrollIntoView()"
FILTER = "location.hash = '?kind=worse'"
LABELED_OUTPUTS = 120  # of 200
JUDGE_LINES = 24  # of the screen of `evalwire judge`
LABELED = (PASSED, PASSED, FAILED)


def run(demo: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the demo as a user in CI would."""
    return subprocess.run(
        [sys.executable, "-m", "evalwire", *arguments],
        cwd=demo,
        env=quiet_environment(**{**CI, **environ}),
        capture_output=True,
        text=True,
        check=False,
    )


def record(demo: Path, router: str, **where: str) -> str:
    """Run the demo commit by commit on main, then a branch; return the screen of `evalwire runs`."""
    file = demo / "agent" / "router.py"
    for commit, part in zip(COMMITS, LESS, strict=True):
        file.write_text(router.replace(LEARNS, f"update(terms(text){part})"))
        done = run(demo, "run", "--quiet", GITHUB_SHA=commit, **where)
    if done.returncode != 0:
        sys.exit(f"the demo is red on main: {done.stdout}")
    file.write_text(router.replace(LEARNS, "update(terms(text)[:1])"))
    if run(demo, "run", "--quiet", GITHUB_SHA="fedcba9876543210", **BRANCH, **where).returncode != 1:
        sys.exit("the broken demo is not red")
    return run(demo, "runs", "--name", "support_router", COLUMNS=str(WIDTH), **where).stdout


def record_early(folder: Path) -> Path:
    """Run the example of an early verdict until it ends early; return the results file."""
    example = folder / "early"
    shutil.copytree(ROOT / "examples" / "early", example, ignore=shutil.ignore_patterns(".evalwire", "test-results"))
    with local_phoenix(example / ".evalwire", os.environ) as server:
        where = {"PHOENIX_ENDPOINT": server.url, "GITHUB_SHA": COMMITS[0]}
        flags = ("--quiet", "--stop-early")
        if run(example, "run", flags[0], **where).returncode != 0:
            sys.exit("the example of an early verdict is red")
        for _ in range(MOST_TRIES):  # each run has its own noise
            done = run(example, "run", *flags, **{**where, **BRANCH, "GITHUB_SHA": "fedcba9876543210"})
            if done.returncode == 0 and "decided after" in done.stdout:
                return example / "test-results" / "results.json"
    sys.exit(f"no early verdict in {MOST_TRIES} runs")


def record_judge(folder: Path) -> tuple[str, Path]:
    """Run the example of a judge twice, and label outputs; return the screen of `evalwire judge`, and a page of noise."""
    example = folder / "judge"
    shutil.copytree(
        ROOT / "examples" / "judge", example, ignore=shutil.ignore_patterns(".evalwire", "test-results", "judges")
    )
    with local_phoenix(example / ".evalwire", os.environ) as server:
        where = {"PHOENIX_ENDPOINT": server.url, "COLUMNS": str(WIDTH)}
        for seed in ("1", "2"):
            if run(example, "run", "--quiet", "--upload", SEED=seed, GITHUB_SHA=COMMITS[0], **where).returncode != 0:
                sys.exit("the example of a judge is red")
        (found,) = load_results(example / "test-results" / "results.json").results
        labels = [
            Label(
                value=float(is_right := f"within {each.example.output['expected_output']} days" in each.output),
                run_id=each.id or "",
                example_id=each.example.id,
                experiment_id=found.experiment_id,
                annotator="ann",
                note="" if is_right else "The number of days is wrong.",
            )
            for each in found.runs[:LABELED_OUTPUTS]
        ]
        (example / "labels.csv").write_text("".join(labels_csv(labels)))
        run(example, "noise", "--output", "noise.html", **where)
        return run(example, "judge", "judged", "--labels", "labels.csv", **where).stdout, example / "noise.html"


def save_screen(name: str, text: Text, title: str) -> None:
    """Save text as a picture of a terminal."""
    screen = Console(record=True, width=WIDTH, file=io.StringIO())
    screen.print(text)
    screen.save_svg(str(PICTURES / f"{name}.svg"), title=title)


def take_report(chromium: browser.Browser, address: str, name: str, *, step: str = "0", **screen: int | bool) -> None:
    """Take a picture of the report after a step in the page."""
    with chromium.page(**screen) as page:
        page.open(address)
        page.wait_for("document.getElementById('f-status').textContent !== ''")
        page.js(f"{step}; 0")
        page.js("new Promise(done => setTimeout(done, 500))")
        (PICTURES / f"{name}.png").write_bytes(page.picture())


def take_label(chromium: browser.Browser) -> None:
    """Take a picture of the labeling page after some labels."""
    texts = [
        ("How do I change the name on my booking?", "change-a-booking", "Open the booking and choose Edit traveler."),
        ("Can I bring a dog?", "pets", "Pets are not part of a booking."),
        ("The app shows an old price", "prices", "I am sorry, I cannot help with that."),
        ("Refund only part of a booking", "refund-a-booking", "Choose the traveler, then Cancel and refund."),
    ]
    outputs = [
        labeling.Output(
            run_id=str(place),
            example_id=f"q{place}",
            repetition=1,
            input=[("user_query", query)],
            expected=[("expected_output", expected)],
            output=[("answer", answer)],
        )
        for place, (query, expected, answer) in enumerate(texts * 10)
    ]
    answers = {str(place): labeling.Answer(word=word) for place, word in enumerate(LABELED)}
    head = {"head": "Label judged: doc_search", "about": "As ann. Each answer is saved in judges/labels/judged.csv."}
    server = labeling.LabelingServer(labeling.Labeling(head, outputs, answers, save=lambda *_: None))
    server.start()
    with chromium.page(width=900, height=720) as page:
        page.open(server.url)
        page.wait_for("document.body.dataset.ready === 'yes'")
        (PICTURES / "label.png").write_bytes(page.picture())
    server.close()


def main() -> None:
    """Write docs/pictures/."""
    program = browser.find()
    if program is None:
        sys.exit("there is no Chromium to make pictures with; install Debian's chromium")
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo"
        shutil.copytree(ROOT / "examples", demo, ignore=shutil.ignore_patterns(".evalwire", "test-results"))
        router = (demo / "agent" / "router.py").read_text()
        with local_phoenix(demo / ".evalwire", os.environ) as server:
            runs = record(demo, router, PHOENIX_ENDPOINT=server.url)
        PICTURES.mkdir(exist_ok=True)
        report = load_results(demo / "test-results" / "results.json")
        save_screen("console", Text.from_ansi(console.render(report, color=True, width=WIDTH)), "evalwire run")
        save_screen("runs", Text(runs), "evalwire runs")
        early = load_results(record_early(Path(folder)))
        save_screen(
            "early", Text.from_ansi(console.render(early, color=True, width=WIDTH)), "evalwire run --stop-early"
        )
        judged, noise = record_judge(Path(folder))
        save_screen("judge", Text("\n".join(judged.splitlines()[:JUDGE_LINES])), "evalwire judge judged")
        comment = demo / "comment.html"
        comment.write_text(github_page.page((demo / "test-results" / "summary.md").read_text()))
        with browser.browser(program) as chromium:
            address = (demo / "test-results" / "report.html").as_uri()
            take_report(chromium, address, "report")
            take_report(chromium, address, "report-run", step=OPEN_RUN)
            take_report(chromium, address, "report-filter", step=FILTER)
            take_report(chromium, address, "report-trend", step=TREND)
            take_report(chromium, address, "report-dark", step=OPEN_RUN, dark=True)
            take_report(chromium, address, "report-phone", step=OPEN_RUN, width=390, height=844)
            take_label(chromium)
            with chromium.page(width=900, height=1_000) as page:
                page.open(noise.as_uri())
                (PICTURES / "noise.png").write_bytes(page.picture())
            with chromium.page(width=github_page.WIDTH, height=900) as page:
                page.open(comment.as_uri())
                (PICTURES / "comment.png").write_bytes(page.picture(whole=True))


if __name__ == "__main__":
    main()
