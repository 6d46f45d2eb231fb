"""The labeling page in a real browser: by keyboard, on a phone, with hostile outputs, and when the server is gone."""

from __future__ import annotations

import csv
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser import Browser, Page, browser, find
from hostile import CANARY, CORPUS

from evalwire.judges import LabelRows, label_row
from evalwire.labeling import Answer, Labeling, LabelingServer, Output, fields_of
from evalwire.masking import plain
from evalwire.model import Label, label_value

SIZE = 20
CANARY_ASKED: list[str] = []


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for which the canary's address is a server that notes requests."""
    program = find()
    if program is None:
        if os.environ.get("EVALWIRE_REQUIRE_BROWSER_TESTS") == "1":
            pytest.fail("there is no Chromium, and EVALWIRE_REQUIRE_BROWSER_TESTS=1")
        pytest.skip("there is no Chromium (Debian's package: chromium)")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            CANARY_ASKED.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as canary:
        threading.Thread(target=canary.serve_forever, args=(0.05,), daemon=True).start()
        host, port = urlsplit(CANARY).hostname, canary.server_address[1]
        with browser(
            program, f"--host-resolver-rules=MAP {host} 127.0.0.1:{port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        ) as found:
            yield found
        canary.shutdown()


class Desk:
    """Outputs to label, and the file of labels; `serve` opens the page as a new start of the command does."""

    def __init__(self, folder: Any, outputs: list[Output] | None = None) -> None:
        self.path = folder / "labels.csv"
        self.rows = LabelRows(self.path)
        self.outputs = outputs or [output(f"r{n}", f"answer {n}") for n in range(SIZE)]
        self.failing: Exception | None = None
        self.servers: list[LabelingServer] = []
        self.labeling: Labeling

    def serve(self, **options: Any) -> str:
        self.labeling = Labeling(
            {"head": "Label judged: answers", "about": "As ann."},
            self.outputs,
            {row["run_id"]: Answer(word=row["label"], note=row["note"]) for row in self.rows.of("E", "ann")},
            save=self.save,
            **options,
        )
        server = LabelingServer(self.labeling)
        server.start()
        self.servers.append(server)
        return server.url

    def save(self, output: Output, answer: Answer) -> None:
        if self.failing:
            raise self.failing
        value = label_value(answer.word)
        label = Label(
            value=value or 0.0,
            example_id=output.example_id,
            repetition=1,
            experiment_id="E",
            run_id=output.run_id,
            annotator="ann",
            note=answer.note,
        )
        self.rows.put([label_row(label, is_skipped=value is None)])

    @property
    def labels(self) -> dict[str, str]:
        """The labels in the file, by the ID of the run."""
        with self.path.open() as file:
            return {row["run_id"]: row["label"] for row in csv.DictReader(file)}

    def close(self) -> None:
        for server in self.servers:
            server.close()
        self.servers.clear()


def output(run_id: str, text: Any, **parts: Any) -> Output:
    fields = {"input": {"q": f"question of {run_id}"}, "expected": {"a": "expected"}} | parts
    return Output(
        run_id=run_id,
        example_id=f"e{run_id}",
        repetition=1,
        input=fields_of(fields["input"], plain),
        expected=fields_of(fields["expected"], plain),
        output=fields_of(text, plain),
    )


@pytest.fixture
def desk(tmp_path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def ready(page: Page, address: str) -> None:
    page.open(address)
    page.wait_for("document.body.dataset.ready === 'yes'")


def place(page: Page) -> str:
    return page.js("document.getElementById('place').textContent")


def at(page: Page, number: int) -> None:
    page.wait_for(f"document.getElementById('place').textContent.startsWith('Output {number} of ')")


def status(page: Page, text: str) -> None:
    page.wait_for(f"document.getElementById('status').textContent.startsWith({json.dumps(text)})")


def text_of(page: Page, id_: str) -> str:
    return page.js(f"document.getElementById('{id_}').textContent")


def test_outputs_are_labeled_by_keyboard_alone_also_after_a_restart(chromium, desk):
    with chromium.page() as page:
        ready(page, desk.serve())
        assert text_of(page, "output") == "answer 0"
        assert "#" in page.js("location.href")
        for number, key in enumerate("1010pfpf1", start=1):
            page.press(key)
            at(page, number + 1)
        status(page, "Saved output 9: Pass. Output 10 of 20.")
        assert text_of(page, "count") == "9 of 20 labeled"
        page.press("s")
        at(page, 11)
        status(page, "Saved output 10: skipped.")
        assert len(desk.labels) == 10


def test_after_a_kill_the_labeling_goes_on_where_it_was(chromium, desk):
    """Undo, a note, a change of mind, and what was skipped, which comes last."""
    words = ["pass", "fail"] * 4 + ["pass", ""]
    desk.path.parent.mkdir(exist_ok=True)
    desk.serve()
    for number, word in enumerate(words):
        desk.save(desk.outputs[number], Answer(word=word))
    desk.close()  # in the middle, as by a kill: nothing is written at the end
    with chromium.page() as page:
        ready(page, desk.serve())
        assert place(page) == "Output 11 of 20"
        assert text_of(page, "count") == "9 of 20 labeled"
        page.press("1")
        at(page, 12)
        page.press("u")  # takes the label back
        at(page, 11)
        assert desk.labels["r10"] == ""
        page.press("n")
        assert page.js("document.activeElement.id") == "note"
        page.write("=1+1 p u 0")
        page.press("Enter")
        assert page.js("document.activeElement.id") != "note"
        page.press("0")
        at(page, 12)
        page.press("ArrowLeft")
        at(page, 11)
        assert page.js("document.getElementById('fail').ariaPressed") == "true"
        assert page.js("document.getElementById('note').value") == "=1+1 p u 0"
        page.press("1")  # a change of mind
        at(page, 12)
        for number in range(12, 21):
            page.press("1")
            status(page, f"Saved output {number}: Pass.")
        page.wait_for("!document.getElementById('end').hidden")
        assert "19 labeled, 1 skipped" in text_of(page, "end-text")
        page.click("#skipped")
        at(page, 10)
        page.press("f")
        page.wait_for("!document.getElementById('end').hidden")
        page.click("#done")
        page.wait_for("document.getElementById('end-title').textContent === 'Ended'")
        assert desk.labeling.is_done.is_set()
        assert page.complaints == []
    expected = ["pass", "fail", "pass", "fail", "pass", "fail", "pass", "fail", "pass", "fail", *["pass"] * 10]
    assert desk.labels == {f"r{n}": label for n, label in enumerate(expected)}
    with desk.path.open() as file:
        notes = {row["run_id"]: row["note"] for row in csv.DictReader(file)}
    assert notes["r10"] == "'=1+1 p u 0", "a spreadsheet must not take a note for a formula"
    assert desk.rows.of("E", "ann")[10]["note"] == "=1+1 p u 0"


def test_a_label_that_is_not_saved_is_said_and_the_output_stays(chromium, desk):
    with chromium.page() as page:
        ready(page, desk.serve())
        page.press("1")
        at(page, 2)
        desk.failing = OSError("the disk is full")
        page.press("0")
        page.wait_for("document.getElementById('alert').textContent !== ''")
        assert text_of(page, "alert") == "The answer is not saved: the disk is full."
        assert place(page) == "Output 2 of 20"
        desk.failing = None
        page.press("0")
        at(page, 3)
        assert text_of(page, "alert") == ""
        desk.close()
        while "evalwire does not answer" not in text_of(page, "alert"):
            page.press("0")
            page.wait_for(
                "document.getElementById('alert').textContent.startsWith('The answer is not saved: evalwire ')"
            )
        assert place(page) == "Output 3 of 20"
    assert desk.labels == {"r0": "pass", "r1": "fail"}


def test_a_held_key_labels_a_single_output(chromium, desk):
    with chromium.page() as page:
        ready(page, desk.serve())
        for is_repeat in (False, True, True):
            page.ask("Input.dispatchKeyEvent", type="keyDown", key="1", code="Digit1", text="1", autoRepeat=is_repeat)
            at(page, 2)
            page.js("new Promise(done => setTimeout(done, 100))")
        assert desk.labels == {"r0": "pass"}
        page.click("#keys")  # for people whose speech input types letters
        page.press("1")
        page.js("new Promise(done => setTimeout(done, 100))")
        assert desk.labels == {"r0": "pass"}


def test_the_address_for_the_browser_works_once(chromium, desk):
    desk.serve()
    [server] = desk.servers
    address = server.url_for_browser()
    with chromium.page() as page:
        ready(page, address)
        assert page.js("location.href") == server.url
        page.open(server.origin)
        ready(page, server.url)  # a reload has the key
    with chromium.page() as page:
        ready(page, address)
        assert "used before" in text_of(page, "alert")
        assert text_of(page, "output") == ""
        ready(page, server.origin)
        assert "has no key" in text_of(page, "alert")


def test_hostile_outputs_are_text(chromium, tmp_path):
    """Also as names of fields, in inputs and in expected outputs."""
    texts = [text for _, text in CORPUS] + ["x" * 100_000, "\x1b[31mred\x1b]8;;http://canary.test\x07", "a\u202eb\x00c"]
    desk = Desk(
        tmp_path,
        [output(f"r{n}", {text: text}, input={"q": text}, expected=text) for n, text in enumerate(texts)],
    )
    with chromium.page(width=360, height=740) as page:
        ready(page, desk.serve())
        for number in range(1, len(texts) + 1):
            at(page, number)
            assert page.js("document.querySelector('#output pre').childNodes.length") <= 1
            assert (
                page.js("document.querySelectorAll('main :is(img, iframe, svg, a, script, style, form)').length") == 0
            )
            assert page.js("document.documentElement.scrollWidth") == 360
            if number < len(texts):
                page.press("ArrowRight")
        assert text_of(page, "output") == "a\\u202eb\\x00c" * 2
        assert page.js("window.hostile") is None
        assert page.dialogs == []
        assert page.complaints == []
        assert {urlsplit(address).netloc for address in page.requests} == {urlsplit(desk.servers[0].url).netloc}
        assert CANARY_ASKED == []
    desk.close()


def test_a_page_that_was_tampered_with_runs_nothing(chromium, desk):
    """The policy stands behind the text nodes."""
    with chromium.page() as page:
        ready(page, desk.serve())
        page.js("document.body.setAttribute('data-x', 1)")
        with pytest.raises(RuntimeError, match="TrustedHTML"):
            page.js("document.body.innerHTML = '<img src=x onerror=alert(1)>'")
        page.js(
            f"(() => {{ const i = document.createElement('img'); i.src = '{CANARY}/x.png'; document.body.append(i) }})()"
        )
        page.js(f"fetch('{CANARY}/x').catch(() => 0)")
        page.js("new Promise(done => setTimeout(done, 100))")
        assert CANARY_ASKED == []
        assert any("Content Security Policy" in each for each in page.complaints)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_accessible_on_a_phone(chromium, desk, dark):
    """Names, targets, focus, contrast and width, as axe checks them."""
    with chromium.page(width=360, height=740, dark=dark) as page:
        ready(page, desk.serve())
        assert page.js("document.documentElement.lang") == "en"
        assert page.js("document.querySelectorAll('h1').length") == 1
        assert page.js("document.documentElement.scrollWidth") == 360
        assert page.js(
            "[...document.querySelectorAll('[id]')].length === new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"
        )
        controls = "[...document.querySelectorAll('button, textarea, input')].filter(e => e.checkVisibility())"
        assert page.js(f"{controls}.every(e => e.labels?.length || e.innerText.trim())")
        small = f"{controls}.map(e => (e.id === 'keys' ? e.parentElement : e).getBoundingClientRect()).filter(r => r.height < 44 || r.width < 44 || r.right > 360).length"
        assert page.js(small) == 0
        for id_ in ("pass", "fail"):
            assert page.js(f"document.getElementById('{id_}').getBoundingClientRect().height") >= 56
        assert page.js("document.getElementById('done').getBoundingClientRect().bottom") <= 740
        assert page.js(
            "document.querySelector('#output pre').getBoundingClientRect().bottom < document.getElementById('answer').getBoundingClientRect().top"
        )
        for pointer in ("aria-labelledby", "aria-describedby", "for"):
            assert page.js(
                f"[...document.querySelectorAll('[{pointer}]')].every(e => document.getElementById(e.getAttribute('{pointer}')))"
            )
        seen = []
        for _ in range(12):
            page.press("Tab")
            seen.append(page.js("document.activeElement.id || document.activeElement.className"))
            assert page.js("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            if seen[-1] == "done":
                break
        assert seen == ["skip", "keys", "pass", "fail", "skip", "note", "undo", "back", "next", "done"]
        texts = "document.querySelectorAll('h1, h2, h3, p, pre, span, label, button')"
        colors = page.js(f"""[...{texts}].filter(e => e.checkVisibility() && e.innerText.trim()).map(e => {{
            let ground = e;
            while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
            return [e.id || e.className || e.tagName, getComputedStyle(e).color, getComputedStyle(ground).backgroundColor];
        }})""")
        assert len(colors) > 10
        for name, ink, ground in colors:
            assert contrast(ink, ground) >= 4.5, f"{name}: {ink} on {ground}"


def contrast(ink: str, ground: str) -> float:
    """The contrast of two colors as in WCAG 2.2, 1.4.3."""

    def luminance(color: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_labels_that_phoenix_does_not_have_are_said(chromium, desk):
    pending = [2]
    with chromium.page() as page:
        ready(page, desk.serve(pending=lambda: pending[0]))
        status(page, "2 not yet in Phoenix.")
        page.press("1")
        status(page, "Saved output 1: Pass. Output 2 of 20. 2 not yet in Phoenix.")
        pending[0] = 0
        status(page, "All labels are in Phoenix.")
