"""`report.html`: what stands in it, that nothing in it acts, and that a real browser shows and works it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import escape
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
import reporting
from benchmarks import pages
from browser import Browser, Page, browser, find
from hostile import CANARY, CORPUS
from hypothesis import given
from nightly import mostly_nightly
from random_reports import few, hostile, random_reports

from evalwire.model.baseline import Baseline, BaselineRun, Comparison, Pair
from evalwire.model.report import Report
from evalwire.model.result import ExperimentResult
from evalwire.model.usage import ModelUsage
from evalwire.reports import ci_links, html
from evalwire.reports.html import markup, numbers, plots, runs, values

# --- the page as text ------------------------------------------------------------------------------------

# All that it may be made of.
NO_END = {"meta", "input", "br"}
TAGS = """
html head title style body script a header main section h1 h2 h3 h4 p span div b bdi code pre small ul ol li dl dt dd
table thead tbody tr th td details summary figure figcaption svg g path rect text label select option fieldset legend
button meta input br del ins h5 circle
"""
ATTRIBUTES = """
lang charset http-equiv content name class id href rel role aria-label aria-labelledby aria-hidden tabindex scope
colspan data-is data-v data-name data-head viewbox width height x y d text-anchor transform type autocomplete
spellcheck hidden step value cx cy r
"""
POWERS = """
innerHTML outerHTML insertAdjacent write( eval Function fetch XMLHttp WebSocket import cookie Storage open( postMessage DOMParser srcdoc
"""
ASCII = str.maketrans({"\u2212": "-", "\u2013": "-"})


class Outline(HTMLParser):
    """What a page is made of; anything that is not closed in order is a fault of it."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.faults: list[str] = []
        self.words: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.packed: dict[str, str] = {}
        self.latest: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(page)
        self.close()
        self.faults += self.open

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.latest = dict(attrs)
        if tag not in NO_END:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if self.open and self.open[-1] == "script" and self.latest:
            self.packed[self.latest["id"]] = data
        elif self.open and self.open[-1] in {"style", "script"}:
            self.texts.setdefault(self.open[-1], []).append(data)
        else:
            self.words.append(data)

    def handle_comment(self, data):
        self.faults.append(f"<!--{data}")

    def unknown_decl(self, data):
        self.faults.append(f"<![{data}")

    def handle_pi(self, data):
        self.faults.append(f"<?{data}")


UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def inflated(data: str) -> bytes:
    return zlib.decompress(base64.b64decode(data), -zlib.MAX_WBITS)


def unpacked(outline: Outline) -> dict[str, Any]:
    """The data of the page's blocks, as the script reads it."""
    if not outline.packed:
        return {}
    common = inflated(outline.packed["words"]).decode().split("\n")
    found = {}
    for id_, packed in outline.packed.items():
        data, words, at = inflated(packed), [], 0
        while at < len(data) and id_ != "words":
            code = data[at]
            if code == 0:
                end = data.index(255, at)
                words.append(data[at + 1 : end].decode())
                at = end + 1
            elif code < 224:
                words.append(common[code - 1])
                at += 1
            else:
                words.append(common[223 + (code - 224) * 256 + data[at + 1]])
                at += 2
        if id_ != "words":
            found[id_] = json.loads(" ".join(words))
    return found


def tags_of(tree: Any) -> Iterator[str]:
    """The elements of trees."""
    for child in tree:
        if isinstance(child, list):
            yield child[0]
            yield from tags_of(child[2:])


def texts_of(tree: Any) -> str:
    return tree if isinstance(tree, str) else "".join(map(texts_of, tree[2:]))


def opened_runs(report: Report, number: int = 0) -> list[Any]:
    """The trees of the opened runs of an experiment."""
    found = unpacked(Outline(page_of(report)))
    return [tree for id_, block in found.items() if id_.startswith(f"d{number}-") for tree in block]


def page_of(report: Report) -> str:
    return "".join(html.pieces(report))


def words_of(report: Report) -> str:
    """What the page says, each run of blanks as one, minus signs and dashes as hyphens."""
    return " ".join(" ".join(Outline(page_of(report)).words).split()).translate(ASCII)


def head_of(report: Report) -> str:
    """What it says before its first section."""
    return words_of(report).partition("Experiments")[0]


def all_hostile() -> Report:
    """One report with the whole corpus; half of its addresses are good, so that there are links."""
    made = [hostile(text[:200], keep=("url",) if n // 2 % 2 else ()) for n, (_, text) in enumerate(CORPUS)]
    return replace(
        made[0],
        results=tuple(one.results[n % 2] for n, one in enumerate(made)),
        gates=tuple(gate for one in made for gate in one.gates),
        baselines=tuple(baseline for one in made for baseline in one.baselines),
    )


def green_report(count: int = 3, **changes: object) -> Report:
    """Of one experiment without a gate or a baseline."""
    runs = [
        reporting.run(n, evaluations=(reporting.boolean("right", passed=True, usage=()),)) for n in range(1, count + 1)
    ]
    found = reporting.result("greeting", runs, evaluators=("right",))
    fields = {"outcome": "passed", "exit_code": 0, "results": (found,), "gates": (), "baselines": (), "journal": None}
    return reporting.red_report(**(fields | changes))


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (reporting.red_report(), "FAILED 1 of 3 gates failed, 2 of 18 runs failed."),
        (green_report(), "PASSED Every example ran, and every evaluator scored every output; there are no gates."),
        (green_report(dry_run=True), "PASSED dry run, nothing recorded"),
        (green_report(outcome="interrupted", exit_code=130), "INTERRUPTED The job was interrupted before it finished."),
        (green_report(outcome="nothing_to_run", exit_code=1, results=()), "FAILED There was nothing to run."),
        (green_report(outcome="infrastructure", exit_code=1), "FAILED Phoenix or another part of the infrastructure"),
    ],
)
def test_the_verdict_comes_first_in_words(report, said):
    assert words_of(report).split("evalwire report ")[1].startswith(said)


def test_a_tolerated_error_rate_stands_beside_the_verdict():
    red = reporting.red_report()
    held = replace(red.gates[2], threshold=0.4, status="passed", is_red=False, text="it is allowed")
    report = replace(red, outcome="passed", exit_code=0, gates=(held,))
    assert "PASSED 33.3% of the runs of support_router failed, up to 40.0% tolerated" in head_of(report)
    assert "tolerated" not in head_of(red)


def test_the_head_says_when_where_and_by_what():
    report = reporting.red_report(
        ci={"ci": "gitlab", "branch": "b1", "commit": "f" * 40, "job_url": "https://ci.test/7"}
    )
    assert "2 experiments · 15 examples · 18 runs · 31.2 s" in head_of(report)
    for said in ("2026-11-20 09:30:00 UTC", "b1", "f" * 12, "gitlab", "evalwire 1.0.0"):
        assert said in head_of(report)
    assert '<a href="https://ci.test/7" rel="noopener noreferrer">gitlab</a>' in page_of(report)


def test_what_did_not_reach_phoenix_is_said():
    lost = reporting.run(1, id=None, record_failure=reporting.failure(stage="record"))
    report = green_report(results=(reporting.result("a", [lost], evaluators=()),), journal="j.jsonl", lost_spans=2)
    assert "1 record did not reach Phoenix" in words_of(report)
    assert "are in the journal j.jsonl" in words_of(report)
    assert "2 trace spans did not reach Phoenix" in words_of(report)


def test_a_gate_has_its_numbers_and_says_what_they_are():
    said = words_of(reporting.red_report())
    assert "Interval, two-sided p, one-sided, Holm-corrected" in said
    assert (
        "failed exact_match max_drop doc_search drop 45.5 pp drop of at most 2 points -80.5 pp to -10.4 pp 95%, paired t 0.0312 "
        "exact_match fell by 45.5 points (100.0% to 54.5% over 11 pairs): a drop of at most 2 points is allowed "
        "evalwire.toml [gates.doc_search] exact_match" in said
    )
    assert "failed max_error_rate support_router 33.3% at most 0% - -" in said
    assert said.index("max_error_rate") < said.index("top_k min")  # red ones first


@pytest.mark.parametrize(
    ("rule", "value", "shown"),
    [
        ("min", 0.5, "at least 0.5"),
        ("max_pass_rate", 0.5, "at most 50%"),
        ("min_examples", 1200, "at least 1200 examples"),
        ("max_total_tokens", 5e6, "at most 5,000,000 tokens"),
        ("max_p95_seconds", 90, "at most 90 s"),
        ("max_cost_usd", 1.5, "at most 1.5 USD"),
    ],
)
def test_a_limit_is_shown_in_its_unit(rule, value, shown):
    gate = replace(reporting.red_report().gates[1], rule=rule, threshold=value)
    assert shown in words_of(reporting.red_report(gates=(gate,)))


def test_each_experiment_names_its_baseline_or_why_it_has_none():
    report = reporting.red_report()
    both = "https://phoenix.example.com/datasets/RDS1/compare?experimentId=EXP-main&experimentId=EXP-doc_search"
    assert page_of(report).count(f'<a href="{escape(both)}"') >= 2
    assert "main, 0123456789ab, 11 paired, chosen by auto" in words_of(report)
    none = Baseline(experiment="doc_search", asked="auto", note="no baseline yet: this run becomes one")
    assert "no baseline yet: this run becomes one" in words_of(reporting.red_report(baselines=(none,)))


def test_regressions_come_before_scores_and_pictures():
    said = words_of(reporting.red_report())
    first = said.index("Worse than the baseline How do I get refund number 2? q2 trace exact_match True → False")
    assert first < said.index("Scores Evaluator") < said.index("Plots exact_match")
    assert "1 example added not in the baseline q11" in said
    assert "1 example removed only in the baseline q98" in said


def test_scores_have_their_change_and_its_interval():
    said = words_of(reporting.red_report())
    assert (
        "exact_match 58.3% pass 12 0 100.0% 11 pairs -45.5 pp -80.5 pp to -10.4 pp "
        "95%, paired t 0.0156 McNemar mid-p 5 0" in said
    )
    assert "tone polite 3, curt 1 4 2" in said
    assert "pass@2 / pass^2" in said


def test_failed_runs_are_told_once_for_each_cause():
    said = words_of(reporting.red_report())
    assert "Task KeyError: 'answer' experiments/support_router/task.py:12 Traceback" in said
    assert "1 run: q21 (1)" in said


def test_an_experiment_that_cannot_run_says_why():
    problem = reporting.failure(
        stage="import", type="ImportError", message="no module named x", where="/work/e/task.py:1"
    )
    broken = ExperimentResult(name="broken", dataset_name="broken", problems=(problem,))
    said = words_of(green_report(outcome="errors", exit_code=1, results=(broken,)))
    assert "1 experiment did not finish." in said
    assert "Cannot run ImportError: no module named x e/task.py:1" in said
    assert "All runs" not in said


def test_a_run_is_there_in_full():
    said = words_of(reporting.red_report())
    assert "Input user_query How do I get refund number 3? Expected expected_output refund 3" in said
    assert (
        'Before the same output Now documents ["doc 3", "doc 0"] exact_match False (was True) the first document is another'
        in said
    )
    assert "Example metadata topic refunds" in said
    trace = f"https://phoenix.example.com/redirects/traces/{11:032x}"  # of one that is not among the regressions
    assert f'<a href="{trace}" rel="noopener noreferrer">trace in Phoenix</a>' in page_of(reporting.red_report())


def test_a_long_value_is_there_in_full_until_it_is_very_long():
    longest = values.LONGEST
    for size in (longest, longest + 1_000):
        run = reporting.run(1, {"a": "\u00fc" * size})
        [tree] = opened_runs(green_report(results=(reporting.result("a", [run], evaluators=()),)))
        assert texts_of(tree).count("\u00fc") == longest
        assert ("1,000 more characters are in results.json" in texts_of(tree)) == (size > longest)


def test_of_very_much_text_less_is_shown():
    cut = values.Values(many=10_000)
    shown = [texts_of(cut.shown("x" * 5_000)[0]) for _ in range(5)]
    assert list(map(len, shown)) == [5_000] * 2 + [values.LONGEST_OF_MANY] * 3


def test_the_same_report_is_the_same_page():
    assert page_of(reporting.red_report()) == page_of(reporting.red_report())


def test_it_comes_as_plain_text():
    """A piece of markup would escape the text that it is joined with."""
    assert {type(piece) for piece in html.pieces(green_report(3))} == {str}


def test_the_page_comes_in_pieces():
    report = green_report(2_000)
    sizes = [len(piece) for piece in html.pieces(report)]
    assert max(sizes) < 250_000
    assert max(sizes) < sum(sizes) / 3


def test_the_policy_allows_the_pages_own_script_and_style_alone():
    page = page_of(reporting.red_report())
    outline = Outline(page)
    policy = next(
        value for _, name, value in outline.attributes if name == "content" and "default-src" in (value or "")
    )
    for kind in ("script", "style"):
        [text] = outline.texts[kind]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
        assert len(outline.texts[kind]) == 1
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert page.index("Content-Security-Policy") < page.index("<title>")
    assert '<meta name="referrer" content="no-referrer">' in page


def test_the_script_writes_no_markup_and_reads_nothing_but_the_page():
    [script] = Outline(page_of(reporting.red_report())).texts["script"]
    code = re.sub(r"//.*", "", script)
    for word in POWERS.split():
        assert word not in code


def check_that_nothing_acts(page: str) -> Outline:
    """Nothing but our own elements and attributes, all closed; links to the web alone; no character that steers."""
    outline = Outline(page)
    assert not outline.faults
    assert set(outline.tags) <= set(TAGS.split())
    assert {name for _, name, _ in outline.attributes} <= set(ATTRIBUTES.split())
    assert outline.tags["style"] == 1
    assert outline.tags["script"] == 1 + len(outline.packed)
    assert outline.attributes.count(("script", "type", "text/plain")) == len(outline.packed)
    for data in outline.packed.values():
        assert re.fullmatch("[A-Za-z0-9+/]*=*", data)
    for id_, data in unpacked(outline).items():
        assert not UNSAFE.search(json.dumps(data, ensure_ascii=False))
        assert set(tags_of(data if id_.startswith("d") else [])) <= set(TAGS.split())
    for tag, name, value in outline.attributes:
        if name == "href":
            assert tag == "a"
            assert re.fullmatch(r"#[a-z0-9-]+", value) or urlsplit(value).scheme in {"http", "https"}
    outside = sum(name == "href" and not value.startswith("#") for _, name, value in outline.attributes)
    assert outside == sum(name == "rel" and value == "noopener noreferrer" for _, name, value in outline.attributes)
    assert not UNSAFE.search(page)
    ids = [value for _, name, value in outline.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    return outline


@pytest.mark.parametrize("part", mostly_nightly(range(4)))
def test_hostile_text_is_text(part, subtests):
    for name, text in CORPUS[part::4]:
        with subtests.test(name):
            check_that_nothing_acts(page_of(hostile(text, keep=())))


def test_what_a_terminal_or_a_parser_would_swallow_is_seen():
    shown = markup.text("a\x00b\x1b[31m\u202ec\x9bd\x7f\ud800\r\n\r")
    assert shown == "a\u2400b\u241b[31m\u27e8U+202E\u27e9c\u27e8U+009B\u27e9d\u2421?\n\u240d"
    assert markup.text("\ufffe\U0010ffff") == "\u27e8U+FFFE\u27e9\u27e8U+10FFFF\u27e9"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " https://example.com",
        "https://example.com/\x01",
        "HTTPS:example.com",
        "//example.com",
        "https://user:key@example.com/",
        "https://[::1",
        "https://exämple.com",
        "data:text/html,x",
        "",
        None,
    ],
)
def test_only_an_address_of_the_web_becomes_a_link(url):
    assert markup.anchor(url, "shown") == "shown"
    assert markup.anchor("https://example.com/a?b=1&c=2", "x") == (
        '<a href="https://example.com/a?b=1&amp;c=2" rel="noopener noreferrer">x</a>'
    )


@few
@given(random_reports())
def test_any_report_becomes_a_page(report):
    check_that_nothing_acts(page_of(report))


# --- beside the baseline ----------------------------------------------------------------------------------


def compared_report(
    now: str = "it is <b>given back</b> to the card in 9 days, I think",
    then: str = "it is <b>paid back</b> to the card in 5 days",
) -> Report:
    """Three examples: one whose output and score changed, one that failed before, one that is the same."""
    outputs = [now, "a", "b"]
    runs = [
        reporting.run(
            n,
            {"answer": output},
            evaluations=(reporting.boolean("right", passed=n > 0, explanation="it does not say when"),),
        )
        for n, output in enumerate(outputs)
    ]
    pairs = tuple(Pair(example_id=f"q{n}", before=1.0, after=float(n > 0)) for n in range(3))
    before = BaselineRun(
        example_id="q0", output={"answer": then}, explanations={"right": "it says when"}, trace_id="f" * 32
    )
    failed = BaselineRun(example_id="q1", error="ValueError: no <i>answer</i>")
    baseline = Baseline(
        experiment="doc_search",
        asked="auto",
        experiment_id="EXP-main",
        url="https://phoenix.example.com/datasets/RDS1/compare?experimentId=EXP-main",
        comparisons=(Comparison(name="right", is_bool=True, pairs=pairs),),
        runs=(before, failed),
    )
    found = reporting.result("doc_search", runs, evaluators=("right",))
    return green_report(results=(found,), baselines=(baseline,))


def test_an_opened_run_shows_the_outputs_of_both_sides():
    changed, failed, same = map(texts_of, opened_runs(compared_report()))
    assert "Before" in changed
    assert "it is <b>paid back</b> to the card in 5 days" in changed
    assert "it says when" in changed
    assert "trace of the baseline" in changed
    assert "both experiments in Phoenix" in changed
    assert "ValueError: no <i>answer</i>" in failed
    assert "Beforethe same outputNow" in same
    [tree] = opened_runs(green_report(1))
    assert "Before" not in texts_of(tree)


def test_reports_without_the_baselines_runs_do_not_say_the_same():
    report = compared_report()
    report = replace(report, baselines=(replace(report.baselines[0], runs=()),))
    assert not any("the same output" in texts_of(tree) for tree in opened_runs(report))


def test_the_list_of_regressions_has_each_example_once_with_both_outputs():
    page = page_of(compared_report())
    said = " ".join(" ".join(Outline(page).words).split())
    assert "right True → False Before it is <b> paid back</b> to the card in 5 days Now it is <b> given" in said
    assert "<del>paid</del>" in page
    assert "<ins>given</ins>" in page


def test_failed_experiments_come_first_and_passed_gates_are_folded():
    red = reporting.red_report()
    green = reporting.result(
        "a_first", [reporting.run(1, evaluations=(reporting.boolean("r", passed=True),))], evaluators=("r",)
    )
    page = page_of(replace(red, results=(green, *red.results)))
    assert page.index('id="x1"') < page.index('id="x2"') < page.index('id="x0"')
    folded = page.index("1 gate passed")
    assert page.index("max_error_rate") < folded < page.index("top_k mean 0.675 is at least 0.6")
    assert "<details" in page[folded - 100 : folded]


def test_an_example_is_named_by_its_question_and_by_its_authors_id_alone():
    own, phoenix = (
        reporting.example(1),
        reporting.example(2, id="RGF0YXNldEV4YW1wbGU6Mg==", node_id="RGF0YXNldEV4YW1wbGU6Mg=="),
    )
    runs = [reporting.run(n, example=example, evaluations=()) for n, example in enumerate((own, phoenix))]
    report = green_report(results=(reporting.result("a", runs, evaluators=()),))
    rows = unpacked(Outline(page_of(report)))["i0"]["rows"]
    assert [(cells[0], id_) for cells, id_, *_ in rows] == [
        ("How do I get refund number 1?", "q1"),
        ("How do I get refund number 2?", ""),
    ]
    assert "example RGF0YXNldEV4YW1wbGU6Mg==" in texts_of(opened_runs(report)[1])


@pytest.mark.parametrize(
    ("ci", "commit", "pull"),
    [
        (
            {"ci": "github", "job_url": "https://github.com/acme/agent/actions/runs/1"},
            "https://github.com/acme/agent/commit/0123456789abcdef",
            "https://github.com/acme/agent/pull/7",
        ),
        (
            {"ci": "gitlab", "job_url": "https://git.acme.test:8443/group/sub/agent/-/jobs/1"},
            "https://git.acme.test:8443/group/sub/agent/-/commit/0123456789abcdef",
            "https://git.acme.test:8443/group/sub/agent/-/merge_requests/7",
        ),
        (
            {"ci": "bitbucket", "job_url": "https://bitbucket.org/acme/agent/pipelines/results/1"},
            "https://bitbucket.org/acme/agent/commits/0123456789abcdef",
            "https://bitbucket.org/acme/agent/pull-requests/7",
        ),
        ({"ci": "jenkins", "job_url": "https://jenkins.test/job/1"}, None, None),
        ({"ci": "github"}, None, None),
    ],
)
def test_commit_and_pull_request_are_links_where_plain_addresses_are_known(ci, commit, pull):
    facts = {**ci, "commit": "0123456789abcdef", "pull_request": "7"}
    assert (ci_links.commit_link(facts), ci_links.pull_request_link(facts)) == (commit, pull)
    page = page_of(green_report(ci=facts))
    assert (f'<a href="{commit}"' in page) == (commit is not None)
    facts = {**facts, "commit": "../../x", "pull_request": "7/../x"}
    assert (ci_links.commit_link(facts), ci_links.pull_request_link(facts)) == (None, None)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 ms"), (0.0031, "3.1 ms"), (0.34, "340 ms"), (0.9999, "1.00 s"), (12.34, "12.3 s")]
)
def test_short_durations_are_milliseconds(seconds, said):
    assert numbers.duration(seconds) == said


def test_without_the_script_the_worst_runs_are_shown_and_it_is_said():
    runs = [
        reporting.run(n, evaluations=(), **({"failure": reporting.failure(), "output": None} if n == 299 else {}))
        for n in range(300)
    ]
    report = green_report(results=(reporting.result("a", runs, evaluators=()),))
    page = page_of(report)
    assert page.count('<tr role="row" id="r0-') == 200
    assert 'id="r0-299"' in page
    assert "Only the 200 worst of 300 runs are shown" in words_of(report)
    assert len(opened_runs(report)) == 300
    assert "Only the" not in words_of(green_report(3))


def test_the_words_of_long_runs_have_codes(monkeypatch):
    """Short runs are only compressed, which is faster; the script reads both."""
    report = reporting.red_report()
    plain, coded = Outline(page_of(report)), Outline("")
    monkeypatch.setattr(runs, "_SHORT", 0)
    coded.feed(page_of(report))
    assert inflated(plain.packed["words"]) == b""
    assert b"refund" in inflated(coded.packed["words"])
    assert len(inflated(coded.packed["d0-0"])) < len(inflated(plain.packed["d0-0"]))
    assert unpacked(coded) == unpacked(plain)


def test_many_runs_are_blocks_that_can_be_unpacked_alone():
    many = [reporting.run(n, "x" * 5_000) for n in range(200)]
    report = green_report(results=(reporting.result("a", many, evaluators=()),))
    data = unpacked(Outline(page_of(report)))
    starts = data["i0"]["starts"]
    assert len(starts) > 3
    assert [len(data[f"d0-{block}"]) for block in range(len(starts))] == [
        end - start for start, end in pairwise([*starts, 200])
    ]
    assert len(data["i0"]["rows"]) == 200


def test_ten_thousand_examples_would_make_ten_megabytes():
    """By what each example adds; `python -m benchmarks.pages` writes all of them."""
    few, more = (len(page_of(pages.compared(count, 1_024)).encode()) for count in (150, 250))
    assert few + (more - few) / 100 * 9_850 < 9_500_000
    few, more = (len(page_of(pages.failed(count, 102_400)).encode()) for count in (10, 20))
    assert few + (more - few) / 10 * 290 < 8_000_000


# --- its pictures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [[0.5], [0.0, 1.0], [-3.0, 5.0, 5.0], [1e9] * 3, [0.1] * 50 + [900.0], [1e-300, 2e-300], [-1e308, 1e308]]
)
@pytest.mark.parametrize("is_amount", [False, True])
def test_a_histogram_shows_every_value(values, is_amount):
    values = [abs(value) for value in values] if is_amount else values
    drawn = plots.histogram(values, caption="x", is_amount=is_amount, marks={"mean": sum(values) / len(values)})
    if plots.TOO_FAR_APART not in drawn:
        assert sum(map(int, re.findall(r": (\d+) runs?</title>", drawn))) == len(values)
        assert not re.search("nan|inf", drawn)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_scatter_shows_every_pair_as_worse_better_or_the_same(direction):
    pairs = tuple(Pair(example_id=f"q{n}", before=n / 10, after=(n * 7 % 10) / 10) for n in range(10))
    compared = Comparison(name="x", direction=direction, pairs=pairs)
    drawn = plots.versus(compared)
    for kind, found in (("worse", compared.worse), ("better", compared.better)):
        [size] = re.findall(rf"([\d,]+) {kind}</span>", drawn)
        assert int(size) == len(found)
        marks = re.findall(rf'<path class="point {kind}" [^>]*><title>(q\d)', drawn)
        assert sorted(marks) == sorted(pair.example_id for pair in found)
    assert drawn.count("<title>") == len(pairs)


def test_pairs_at_one_point_are_one_mark_that_names_them():
    pairs = tuple(Pair(example_id=f"q{n}", before=0.5, after=0.25) for n in range(20))
    drawn = plots.versus(Comparison(name="x", pairs=pairs))
    assert "<title>20 examples: q0, q1, q2, q3, q4, q5, q6, q7 and 12 more</title>" in drawn


def test_true_and_false_flow_from_the_baseline_to_this_run():
    ways = [(1, 1)] * 5 + [(1, 0)] * 2 + [(0, 1)]
    pairs = tuple(Pair(example_id=f"q{n}", before=float(a), after=float(b)) for n, (a, b) in enumerate(ways))
    drawn = plots.versus(Comparison(name="x", is_bool=True, pairs=pairs))
    assert '<path class="flow worse"' in drawn
    assert "<title>True to False: 2 examples: q5, q6</title>" in drawn
    assert "<title>False to True: q7: 0.000 to 1.000</title>" in drawn
    minimized = plots.versus(Comparison(name="x", is_bool=True, direction="minimize", pairs=pairs[5:7]))
    assert '<path class="flow better"' in minimized


def test_without_data_there_is_no_picture():
    moment = {"end_time": reporting.BEGAN + timedelta(seconds=1), "start_time": reporting.BEGAN + timedelta(seconds=1)}
    still = reporting.run(1, usage=None, **moment)
    said = words_of(green_report(results=(reporting.result("a", [still], evaluators=()),)))
    assert "Pictures" not in said
    assert "Tokens" not in said


def test_labels_are_counted():
    labels = {f"label {n}": 20 - n for n in range(12)}
    drawn = plots.frequencies(labels, caption="x")
    assert drawn.count("<g>") == 9
    assert "4 others" in drawn


# --- its colours -----------------------------------------------------------------------------------------


def schemes() -> Iterator[tuple[str, dict[str, str]]]:
    [style] = Outline(page_of(green_report())).texts["style"]
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+);", light))
    yield "light", found
    yield "dark", found | dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+);", dark))


def luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(one * 2 for one in color[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_stands_out_in_both_schemes():
    """WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for text, 3 for what is drawn."""
    for name, colors in schemes():
        for ground in ("page", "raised", "good-soft", "poor-soft"):
            for ink in ("ink", "quiet", "accent", "good", "poor", "unsure", "worse", "better", "bar"):
                high, low = sorted((luminance(colors[ground]), luminance(colors[ink])), reverse=True)
                ratio = (high + 0.05) / (low + 0.05)
                assert ratio >= (3 if ink == "bar" else 4.5), f"{name}: {ink} on {ground} is {ratio:.2f}"


# --- in a browser ----------------------------------------------------------------------------------------


class Site:
    """Pages on the loopback interface, and a record of everything that is asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append(f"{self.headers['Host']}{self.path}")
                body = site.pages.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(body or b"")

            do_POST = do_GET  # noqa: N815 - the server calls them so

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def put(self, page: str) -> str:
        """Offer a page; its address."""
        path = f"/{len(self.pages)}.html"
        self.pages[path] = page.encode(errors="replace")
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture(scope="module")
def chromium(site) -> Iterator[Browser]:
    """A browser for which the canary's address is the site's; without one these tests are skipped, unless they must run."""
    program = find()
    if program is None:
        if os.environ.get("EVALWIRE_REQUIRE_BROWSER_TESTS") == "1":
            pytest.fail("there is no Chromium, and EVALWIRE_REQUIRE_BROWSER_TESTS=1")
        pytest.skip("there is no Chromium (Debian's package: chromium)")
    canary = urlsplit(CANARY).hostname
    with browser(
        program, f"--host-resolver-rules=MAP {canary} 127.0.0.1:{site.port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    ) as found:
        yield found


@pytest.fixture(scope="module")
def red_page(site) -> str:
    """A report with many runs, of which some got worse, some failed, and some are long."""
    usage = (ModelUsage(model="m", calls=1, total_tokens=100),)
    red = reporting.red_report()
    search, router = red.results
    runs = tuple(
        replace(run, usage=usage, evaluations=tuple(replace(one, usage=()) for one in run.evaluations))
        for run in search.runs
    )
    return site.put(page_of(replace(red, results=(replace(search, runs=runs), router))))


def rows(page: Page, table: str = "t0") -> list[str]:
    """The examples whose rows are seen, in order."""
    return page.js(
        f"[...document.querySelectorAll('#{table} tbody tr')].filter(r => r.checkVisibility()).map(r => r.querySelector('.id').textContent)"
    )


def choose(page: Page, field: str, value: str) -> None:
    page.js(
        f"(f => {{ f.value = {value!r}; f.dispatchEvent(new Event('input', {{bubbles: true}})) }})(document.getElementById('{field}'))"
    )


def ready(page: Page, address: str) -> None:
    """Open a report and wait until its runs are there."""
    page.open(address)
    page.wait_for("document.getElementById('f-status').textContent !== ''")


def settled(page: Page, status: str) -> None:
    page.wait_for(f"document.getElementById('f-status').textContent === {status!r}")


def test_the_trap_catches_what_is_not_escaped(site, chromium):
    """Without it, a page where nothing happens would prove nothing."""
    raw = "".join(
        f"<div>{text}</div>" for name, text in CORPUS if name in {"script", "image", "image, broken", "stylesheet"}
    )
    with chromium.page() as page:
        page.open(site.put(f"<!doctype html><title>x</title><body>{raw}"))
        assert page.js("window.hostile") == 1
        assert page.dialogs
        assert any(one.startswith(CANARY) for one in page.requests)
        assert any(one.startswith("canary.test") for one in site.asked)


def test_in_a_page_full_of_hostile_text_nothing_runs_and_nothing_leaves(site, chromium):
    with chromium.page() as page:
        address = site.put(page_of(all_hostile()))
        before = len(site.asked)
        ready(page, address)
        assert page.js("document.querySelector('h1').checkVisibility()")
        page.js("for (const one of document.querySelectorAll('details')) one.open = true")
        page.wait_for("[...document.querySelectorAll('.runs details')].every(one => one.children.length > 1)")
        page.js("for (const one of [...document.querySelectorAll('th button')].slice(0, 60)) one.click()")
        page.js(
            "for (const one of document.querySelectorAll('td, a, summary, pre')) for (const kind of ['mouseover', 'focus', 'toggle']) one.dispatchEvent(new Event(kind, {bubbles: true}))"
        )
        choose(page, "f-text", "<script>")
        page.wait_for("document.getElementById('f-status').textContent.includes(' of ')")
        choose(page, "f-text", "")
        page.js("new Promise(done => setTimeout(done, 200))")
        assert page.js("window.hostile") is None
        assert page.dialogs == []
        assert page.complaints == []  # the policy had nothing to refuse
        assert page.requests == [address]
        asked = [one for one in site.asked[before:] if not one.endswith("/favicon.ico")]
        assert asked == [address.removeprefix("http://")]
        assert page.js("document.querySelectorAll('script:not([type=\"text/plain\"]), style').length") == 2
        assert (
            page.js("document.querySelectorAll('img, iframe, object, embed, link, base, form, video, dialog').length")
            == 0
        )
        assert page.js("document.documentElement.scrollWidth") == 1280


@pytest.mark.parametrize(
    "name", ["a very long line", "combining marks", "bidi override", "bidi letters", "style attribute"]
)
def test_no_text_makes_a_phone_scroll_sideways(site, chromium, name):
    with chromium.page(width=390, height=844) as page:
        ready(page, site.put(page_of(hostile(dict(CORPUS)[name]))))
        page.js("for (const one of document.querySelectorAll('details')) one.open = true")
        page.wait_for("[...document.querySelectorAll('.runs details')].every(one => one.children.length > 1)")
        assert page.js("document.documentElement.scrollWidth") == 390


def test_a_page_that_was_tampered_with_runs_nothing(site, chromium):
    """The policy stands behind the escaping."""
    page_text = page_of(reporting.red_report())
    corpus = dict(CORPUS)
    raw = "".join(corpus[name] for name in ("script", "image", "image, broken", "frame", "stylesheet", "object", "svg"))
    with chromium.page() as page:
        before = len(site.asked)
        page.open(site.put(page_text.replace("<main", f"{raw}<main", 1)))
        assert page.js("window.hostile") is None
        assert page.dialogs == []
        assert not [one for one in site.asked[before:] if one.startswith("canary.test")]
        assert any("Content Security Policy" in one for one in page.complaints)


def test_the_verdict_and_the_runs_are_seen(chromium, red_page):
    with chromium.page() as page:
        ready(page, red_page)
        assert page.js("document.querySelector('h1').innerText") == "FAILED"
        assert page.js("document.querySelector('h1').getBoundingClientRect().top") < 200
        assert page.js("document.title") == "FAILED: doc_search, support_router"
        assert rows(page) == [f"q{n}" for n in range(12)]
        assert page.js("document.getElementById('f-status').textContent") == "18 runs"
        assert page.complaints == []


def test_runs_are_filtered(chromium, red_page):
    with chromium.page() as page:
        ready(page, red_page)
        page.js("document.getElementById('f-text').focus()")
        page.write("REFUND NUMBER 1")
        settled(page, "3 of 18 runs")
        assert rows(page) == ["q1", "q10", "q11"]
        assert rows(page, "t1") == []
        page.click("#f-reset")
        settled(page, "18 runs")
        choose(page, "f-kind", "failed")
        settled(page, "2 of 18 runs")
        assert rows(page, "t1") == ["q21", "q22"]
        choose(page, "f-kind", "worse")
        settled(page, "11 of 18 runs")
        page.click("#f-reset")
        choose(page, "f-name", "top_k")
        choose(page, "f-limit", "0.5")
        settled(page, "2 of 18 runs")  # 0.40 and 0.45
        assert rows(page) == ["q0", "q1"]
        choose(page, "f-side", "above")
        choose(page, "f-limit", "0.9")
        settled(page, "1 of 18 runs")  # 0.95
        page.click("#f-reset")
        settled(page, "18 runs")
        choose(page, "f-kind", "worse")
        choose(page, "f-name", "exact_match")
        settled(page, "5 of 18 runs")  # 11 became worse in some evaluator
        assert rows(page) == [f"q{n}" for n in range(5)]
        choose(page, "f-text", "number 4")
        settled(page, "1 of 18 runs")  # fields are combined
        page.click("#f-reset")
        settled(page, "18 runs")
        choose(page, "f-kind", "failed")
        choose(page, "f-name", "tone")
        settled(page, "2 of 18 runs")
        page.click("#f-reset")
        settled(page, "18 runs")
        choose(page, "f-name", "routed")
        choose(page, "f-limit", "0.5")
        settled(page, "1 of 18 runs")
        assert rows(page, "t1") == ["q20"]  # False; the one without a score is not below anything
        choose(page, "f-text", "nobody says this")
        settled(page, "none of 18 runs")
        page.click("#f-reset")
        choose(page, "f-table", "t1")
        settled(page, "6 of 18 runs")


def test_a_column_is_sorted_by_click_up_down_and_as_it_was(chromium, red_page):
    head = "#t0 th:nth-child(4)"
    order = f"document.querySelector('{head}').ariaSort"
    with chromium.page() as page:
        ready(page, red_page)
        assert page.js(order) == "none"
        page.click(f"{head} button")
        assert page.js(order) == "ascending"
        assert rows(page) == [f"q{n}" for n in range(12)]
        page.click(f"{head} button")
        assert page.js(order) == "descending"
        assert rows(page) == [f"q{n}" for n in reversed(range(12))]
        page.click(f"{head} button")
        assert page.js(order) == "none"
        page.click("#t0 th:nth-child(1) button")
        page.click("#t0 th:nth-child(1) button")
        assert rows(page)[:3] == ["q11", "q10", "q9"]  # by number, not letter by letter
        assert page.js("document.querySelectorAll('#t0 th[aria-sort]:not([aria-sort=none])').length") == 1
        page.click("#t1 th:nth-child(4) button")  # True, False, and none at all
        page.click("#t1 th:nth-child(4) button")
        assert page.js("[...document.querySelectorAll('#t1 tbody tr')].map(r => r.cells[3].textContent)") == [
            *["True"] * 4,
            "False",
            "\u2013",
        ]


def test_everything_is_worked_by_keyboard(chromium, red_page):
    with chromium.page() as page:
        ready(page, red_page)
        page.press("Tab")
        assert page.js("document.activeElement.className") == "skip"
        assert page.js("document.activeElement.getBoundingClientRect().left") >= 0
        page.press("Enter")
        assert page.js("location.hash") == "#runs"
        seen = []
        for _ in range(20):
            page.press("Tab")
            seen.append(page.js("document.activeElement.id || document.activeElement.textContent"))
            assert page.js("getComputedStyle(document.activeElement).outlineStyle") != "none"
            if seen[-1] == "top_k":
                break
        assert seen[:3] == ["f-text", "f-kind", "f-table"]
        assert seen[-1] == "top_k"
        page.press("Enter")
        page.press(" ")
        assert page.js("document.activeElement.parentElement.ariaSort") == "descending"
        assert rows(page)[0] == "q11"
        while page.js("document.activeElement.tagName") != "SUMMARY":
            page.press("Tab")
        page.press("Enter")
        assert page.js("document.activeElement.parentElement.open")
        assert page.js("document.activeElement.closest('tr').querySelector('.id').textContent") == "q11"


def test_a_link_to_a_run_opens_it(chromium, red_page):
    with chromium.page(height=400) as page:
        ready(page, red_page)
        choose(page, "f-kind", "failed")
        settled(page, "2 of 18 runs")
        page.click(".changes a[href='#r0-3']")
        page.wait_for("document.querySelector('#r0-3 details')?.open")
        assert page.js("document.querySelector('#r0-3').checkVisibility()")
        top = page.js("document.querySelector('#r0-3').getBoundingClientRect().top")
        controls = page.js("document.getElementById('controls').getBoundingClientRect().bottom")
        assert controls <= top < 400


def test_without_scripts_all_of_it_can_be_read(chromium, red_page):
    with chromium.page(scripts=False) as page:
        page.open(red_page)
        assert not page.js("document.getElementById('controls').checkVisibility()")
        assert page.js("document.querySelectorAll('th button').length") == 0
        assert page.js("document.querySelector('h1').innerText") == "FAILED"
        assert rows(page) == [f"q{n}" for n in range(12)]
        page.click("#r0-2 summary")
        page.wait_for("document.querySelector('#r0-2 pre').checkVisibility()")
        assert "How do I get refund number 2?" in page.js("document.querySelector('#r0-2 pre').innerText")


def test_on_a_phone_the_page_does_not_scroll_sideways(chromium, red_page):
    with chromium.page(width=390, height=844) as page:
        ready(page, red_page)
        page.js("for (const one of document.querySelectorAll('details')) one.open = true")
        assert page.js("innerWidth") == 390
        assert page.js("document.documentElement.scrollWidth") == 390
        page.wait_for("document.querySelectorAll('#t0 pre').length > 12")
        right = "Math.max(...[...document.querySelectorAll('#t0 :is(pre, td)')].map(one => one.getBoundingClientRect().right))"
        assert page.js(right) <= 390


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_light_or_dark_as_the_reader_likes(chromium, red_page, dark):
    with chromium.page(dark=dark) as page:
        page.open(red_page)
        red, green, blue = map(int, re.findall(r"\d+", page.js("getComputedStyle(document.body).backgroundColor")))
        assert (max(red, green, blue) < 40) if dark else (min(red, green, blue) > 240)
        ink = page.js("getComputedStyle(document.querySelector('.lead')).color")
        assert (int(re.findall(r"\d+", ink)[0]) > 200) == dark


def test_rows_of_a_long_table_are_made_when_they_are_near(site, chromium):
    with chromium.page() as page:
        ready(page, site.put(page_of(green_report(1_000))))
        settled(page, "1,000 runs")
        table = "document.getElementById('t0')"
        assert page.js(f"{table}.rows.length") < 500
        height = page.js(f"{table}.offsetHeight")
        page.js(f"{table}.lastElementChild.scrollIntoView()")
        page.wait_for("document.getElementById('r0-999') !== null")
        page.wait_for("document.getElementById('r0-999').checkVisibility({contentVisibilityAuto: true})")
        assert abs(page.js(f"{table}.offsetHeight") - height) < height / 10
        page.js("dispatchEvent(new Event('beforeprint'))")
        assert page.js(f"{table}.rows.length") == 1_001


def test_a_filter_and_an_order_are_in_the_address(chromium, red_page):
    with chromium.page() as page:
        ready(page, red_page)
        choose(page, "f-kind", "worse")
        choose(page, "f-name", "exact_match")
        settled(page, "5 of 18 runs")
        for _ in range(2):
            page.click("#t0 th:nth-child(4) button")
        page.wait_for("location.hash.includes('descending')")
        hash_ = page.js("location.hash")
        assert hash_ == "#?kind=worse&name=exact_match&sort-t0=3+descending"
    with chromium.page() as page:
        page.open(red_page + hash_)
        settled(page, "5 of 18 runs")
        assert rows(page) == ["q4", "q3", "q2", "q1", "q0"]
        assert page.js("document.getElementById('f-kind').value") == "worse"
        page.js("location.hash = '?kind=nonsense&sort-t0=99+upside&name=%00'")
        settled(page, "18 runs")
        assert page.complaints == []


def test_runs_are_filtered_by_split(site, chromium):
    report = green_report(4)
    [found] = report.results
    splits = [("easy",), ("hard", "long"), (), ("hard",)]
    runs = tuple(
        replace(run, example=replace(run.example, splits=own)) for run, own in zip(found.runs, splits, strict=True)
    )
    with chromium.page() as page:
        ready(page, site.put(page_of(replace(report, results=(replace(found, runs=runs),)))))
        assert page.js("[...document.getElementById('f-split').options].map(o => o.text)") == [
            "all",
            "easy",
            "hard",
            "long",
        ]
        choose(page, "f-split", "hard")
        settled(page, "2 of 4 runs")
        assert rows(page) == ["q2", "q4"]


def test_an_opened_run_marks_the_words_that_differ(site, chromium):
    with chromium.page() as page:
        ready(page, site.put(page_of(compared_report())))
        page.js("location.hash = 'r0-0'")
        page.wait_for("document.querySelector('#r0-0 .run') !== null")
        boxes = "[...document.querySelectorAll('#r0-0 .texts > div')].map(one => one.innerText.replace(/\\s+/g, ' '))"
        assert page.js(boxes) == [
            "Input user_query How do I get refund number 0?",
            "Expected expected_output refund 0",
            "Before answer it is <b>paid back</b> to the card in 5 days",
            "Now answer it is <b>given back</b> to the card in 9 days, I think",
        ]
        marked = "[...document.querySelectorAll('#r0-0 .texts {}')].map(one => one.textContent)"
        assert page.js(marked.format("del")) == ["<b>paid", "5 days"]
        assert page.js(marked.format("ins")) == ["<b>given", "9 days, I think"]
        assert page.js("document.querySelector('#r0-0 .evaluation .then pre').innerText") == "it says when"
        assert page.js("document.querySelector('#r0-0 .evaluation .now pre').innerText") == "it does not say when"


def test_of_long_texts_no_words_are_marked(site, chromium):
    report = compared_report(now=" ".join(f"a{n}" for n in range(3_000)), then=" ".join(f"b{n}" for n in range(3_000)))
    with chromium.page() as page:
        ready(page, site.put(page_of(report)))
        page.js("location.hash = 'r0-0'")
        page.wait_for("document.querySelector('#r0-0 .run') !== null")
        assert page.js("document.querySelectorAll('#r0-0 .texts :is(del, ins)').length") == 0
        assert "too long" in page.js("document.querySelector('#r0-0 .then').innerText")
        assert "b2999" in page.js("document.querySelector('#r0-0 .then').innerText")
