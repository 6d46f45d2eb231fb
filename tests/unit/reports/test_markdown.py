"""`summary.md`: what GitHub shows of a report, read by a parser of its Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest
from hostile import CORPUS
from hypothesis import given
from markdown_it import MarkdownIt
from markdown_it.token import Token
from nightly import mostly_nightly
from random_reports import few, hostile, random_reports
from reporting import boolean, evaluation, example, failure, red_report, result, run

from evalwire.model.gates import GateResult
from evalwire.model.report import Report
from evalwire.reports import markdown

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OUR_HTML = re.compile(r"</?details>|<summary>[0-9a-zA-Z ,:()-]+</summary>")
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff]")
# What GitHub makes a link, an image, a formula or a mention of, though no Markdown marks it.
ACTIVE = re.compile(r"[@#$]|://|www\.|:\w+:|GH-\d|\b(?=[0-9]*[a-f])[0-9a-f]{7,40}\b")
PHOENIX = "https://phoenix.example.com/"


def tokens(text: str) -> Iterator[Token]:
    for token in PARSER.parse(text):
        yield token
        yield from token.children or ()


def checked(report: Report) -> str:
    """The text, after a look at all that a parser makes of it."""
    text = markdown.render(report)
    assert len(text.encode()) <= markdown.MOST_BYTES
    assert not CONTROL.search(text)
    depth = 0
    for token in tokens(text):
        match token.type:
            case "html_inline" if token.content == "<br>":
                pass
            case "image" | "html_inline" | "code_block" | "fence" | "blockquote_open" | "hr" | "s_open" | "lheading":
                raise AssertionError(f"{token.type}: {token.content}")
            case "html_block":
                for line in token.content.split("\n"):
                    assert not line or OUR_HTML.fullmatch(line), line
                    depth += line.startswith("<details>") - line.startswith("</details>")
                    assert depth in (0, 1)
            case "link_open":
                assert str(token.attrs["href"]).startswith(PHOENIX)
            case "text":
                assert not ACTIVE.search(token.content), token.content
            case "heading_open":
                assert token.tag in ("h2", "h3")
    assert depth == 0
    for table in tables(text):
        assert len({line.count(" |") for line in table}) == 1
    return text


def tables(text: str) -> list[list[str]]:
    """The lines of each table, a bar in a code span taken out."""
    lines = [line.replace(r"\|", "") for line in text.splitlines()]
    return [list(table) for is_row, table in groupby(lines, key=lambda line: line.startswith("|")) if is_row]


def cells(text: str) -> list[list[str]]:
    """The table as the parser has it: the text of each cell."""
    table: list[list[str]] = []
    for token in PARSER.parse(text):
        if token.type == "tr_open":
            table.append([])
        elif token.type == "inline" and table and token.level == 4:
            table[-1].append("".join(child.content for child in token.children or ()))
    return table


def shape(report: Report) -> list[str]:
    """What there is of a text but for what it says."""
    return [token.type for token in PARSER.parse(checked(report))]


HARMLESS = shape(hostile("x"))

# --- what is hostile -----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", mostly_nightly(range(3)))
def test_what_a_model_says_is_no_markdown(part):
    """No link, image, element, mention or heading, and no row or item more or less than of a harmless text."""
    for name, text in CORPUS[part::3]:
        assert shape(hostile(text)) == HARMLESS, name


@pytest.mark.parametrize("start", range(0, len(CORPUS), 10))
def test_an_address_that_is_none_is_no_link(start):
    """A page's address with anything odd in it is left out; the rest is shown."""
    for _, text in CORPUS[start : start + 10]:
        if text.strip():
            assert not any(token.type == "link_open" for token in tokens(checked(hostile(text, keep=()))))


@pytest.mark.parametrize(
    "text", [r"a\|b", r"a\\|b", r"|", r"\|", "||", "`|`", r"`\|", "a|", "\\", "`", "``", " ` ", "|\\", "a\n| b |\n"]
)
def test_a_bar_does_not_end_a_cell(text):
    """Neither do backslashes and backticks about it."""
    [its, *_] = red_report().results
    judge = (evaluation(text, 1.0, evaluator="e"), evaluation("f", None, label=text))
    odd = replace(its, name=text, runs=(run(1, evaluations=judge),), evaluator_names=("e", "f"))
    table = cells(checked(red_report(results=(odd,), gates=(), baselines=())))
    assert [len(row) for row in table] == [3, 3, 3]
    shown = " ".join(re.sub(r"\\(?=\|)", r"\\ ", text).split())
    assert table[1][0] == f"❌ {shown}<br>12 examples, 11 failed"
    assert table[1][1] == shown or table[2][1] == shown


@few
@given(random_reports())
def test_any_report_can_be_shown(made):
    text = checked(made)
    word = {"passed": "PASSED", "interrupted": "INTERRUPTED"}.get(made.outcome, "FAILED")
    assert text.startswith((f"## ✅ evalwire {word}", f"## ❌ evalwire {word}", f"## ⚠️ evalwire {word}"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("top_k fell by 0.1 (p = 0.03), 33.3 % < 40 %", r"top\_k fell by 0.1 (p = 0.03), 33.3 % &lt; 40 %"),
        ("a *b* fell", "`a *b* fell`"),
        ("see www.example.com", "`see www.example.com`"),
        ("see GH-1", "`see GH-1`"),
        ("since 0123456", "`since 0123456`"),
        ("a :tada: b", "`a :tada: b`"),
        ("it fell: 2 points", "it fell: 2 points"),
        ("http://x", "`http://x`"),
        ("a ` b", "``a ` b``"),
    ],
)
def test_a_sentence_is_prose_where_it_is_plain(text, shown):
    [red, *_] = red_report().gates
    assert f"- `doc_search`: {shown}" in checked(red_report(gates=(replace(red, text=text, interval=None),)))


# --- what it says --------------------------------------------------------------------------------------


def gate(name: str, **fields: Any) -> GateResult:
    given = {
        "rule": "max_error_rate",
        "threshold": 0.5,
        "status": "passed",
        "is_red": False,
        "text": "it held",
        "source": "toml",
    }
    return GateResult(experiment=name, **{**given, **fields})


SOUND = result("a", [run(1, evaluations=(evaluation("e", 1.0),))], evaluators=("e",))
BROKEN = result("b", [run(1, failure=failure()), run(2, evaluations=(evaluation("e", 1.0),))], evaluators=("e",))


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (red_report(), "❌ evalwire FAILED: 1 gate failed, 2 of 18 runs failed"),
        (
            red_report(results=(SOUND,), gates=(), baselines=(), outcome="passed", exit_code=0),
            "✅ evalwire PASSED: 1 experiment, 1 run, no gates",
        ),
        (
            red_report(results=(SOUND,), gates=(), baselines=(), outcome="passed", exit_code=0, dry_run=True),
            "✅ evalwire PASSED (dry run, nothing recorded): 1 experiment, 1 run",
        ),
        (
            red_report(results=(SOUND, BROKEN), gates=(gate("b"),), baselines=(), outcome="passed", exit_code=0),
            "✅ evalwire PASSED: 1 of 3 runs failed (tolerated by max_error_rate)",
        ),
        (
            red_report(results=(replace(BROKEN, name="c"), BROKEN), gates=(gate("b"),), baselines=()),
            "❌ evalwire FAILED: 2 of 4 runs failed (1 tolerated by max_error_rate)",
        ),
        (
            red_report(
                results=(replace(SOUND, example_count=3),), gates=(), baselines=(), outcome="interrupted", exit_code=130
            ),
            "⚠️ evalwire INTERRUPTED: 2 not run, no gates",
        ),
        (
            red_report(results=(), gates=(), baselines=(), outcome="nothing_to_run"),
            "❌ evalwire FAILED: there was nothing to run",
        ),
        (
            red_report(results=(), gates=(), baselines=(), outcome="infrastructure"),
            "❌ evalwire FAILED: Phoenix could not be used",
        ),
    ],
)
def test_the_verdict_comes_first(made, line):
    assert checked(made).splitlines()[0] == f"## {line}"


def test_the_table_has_each_score_before_and_now_with_its_change():
    """Five columns, which fit a comment; the experiment leads to the page that shows both sides."""
    text = checked(red_report())
    head, exact, graded, routed, tone = cells(text)[:5]
    assert head == ["experiment", "evaluator", "before", "now", "change"]
    assert exact == [
        "❌ doc_search<br>12 examples",
        "exact_match",
        "100.0%",
        "54.5%<br>58.3% overall",
        "🔴 -45.5 points<br>5 worse, 0 better",
    ]
    assert graded == ["", "top_k", "0.700", "0.650<br>0.675 overall", "🔴 -0.050<br>11 worse, 0 better"]
    assert routed == ["❌ support_router<br>3 examples x 2, 2 failed", "routed", "", "66.7% (1 missing)", ""]
    assert tone[1:] == ["tone", "", "polite 3, curt 1 (2 missing)", ""]
    page = "https://phoenix.example.com/datasets/RDS1/compare?experimentId=EXP-main&experimentId=EXP-doc_search"
    assert f"[`doc_search`]({page})" in text


def test_the_table_without_a_baseline_has_no_column_for_one():
    assert cells(checked(red_report(baselines=())))[0] == ["experiment", "evaluator", "score"]


def test_an_improvement_and_no_change_have_marks_of_their_own():
    [baseline] = red_report().baselines
    exact, graded = baseline.comparisons
    other = replace(baseline, comparisons=(replace(exact, change=0.1), replace(graded, direction="minimize")))
    marks = [row[4][:1] for row in cells(checked(red_report(baselines=(other,))))[1:3]]
    assert marks == ["🟢", "🟢"]
    same = replace(baseline, comparisons=(replace(exact, change=0.0),))
    assert cells(checked(red_report(baselines=(same,))))[1][4].startswith("⚪ 0.0 points")


def test_a_score_whose_evaluator_changed_says_that_it_is_not_compared():
    [baseline] = red_report().baselines
    changed = replace(baseline, comparisons=baseline.comparisons[:1], changed_evaluators={"top_k": "changed: x.py"})
    rows = cells(checked(red_report(baselines=(changed,))))
    assert rows[2] == ["", "top_k", "", "0.675", "not compared: the evaluator changed"]


def test_statistics_are_folded_with_their_methods():
    text = checked(red_report()).partition("<summary>Statistics")[2]
    assert (
        "| `doc_search` | `exact_match` | 11 | -45.5 points, -80.5 to -10.4 points | 0.0156 | McNemar mid-p, paired t |"
        in text
    )
    assert r"- `doc_search` top\_k min: 0.560 to 0.790 (95% interval, two-sided, t)" in text


@pytest.mark.parametrize(("pairs", "said"), [(1, "no interval from a single pair"), (60, "the same for all pairs")])
def test_a_change_without_an_interval_says_why(pairs, said):
    [baseline] = red_report().baselines
    exact = baseline.comparisons[0]
    alike = tuple(replace(exact.pairs[0], example_id=f"q{n}") for n in range(pairs))
    few = replace(baseline, comparisons=(replace(exact, pairs=alike, interval=None),))
    assert f"{pairs} | -45.5 points, {said} |" in checked(red_report(baselines=(few,)))


def test_red_gates_are_shown_and_green_ones_folded():
    text = checked(red_report())
    red, _, held = text.partition("### Failed gates")[2].partition("<details>\n<summary>Other")
    assert (
        r"- `doc_search`: exact\_match fell by 45.5 points (100.0% to 54.5% over 11 pairs): "
        "a drop of at most 2 points is allowed\n"
    ) in red
    assert "- `support_router`: 2 of 6 runs failed\n" in red
    assert held.startswith(" gates: 1 passed</summary>\n")
    assert r"top\_k mean 0.675 is at least 0.6" in held


def test_gates_that_did_not_judge_are_counted():
    gates = (gate("a"), gate("a", status="inconclusive", text="too few"), gate("a", status="no baseline", text="new"))
    text = checked(red_report(results=(SOUND,), gates=gates, baselines=(), outcome="passed", exit_code=0))
    assert "<summary>Gates: 1 passed, 1 inconclusive, 1 no baseline</summary>" in text
    assert "- `a`: inconclusive: too few" in text
    assert "### Failed gates" not in text


def test_errors_are_told_once_each_with_the_line():
    runs = [run(number, failure=failure()) for number in range(4)]
    other = run(9, evaluations=(evaluation("e", None, failure=failure(stage="evaluator", message="x", cause="y")),))
    lost = run(8, evaluations=(evaluation("e", 1.0),), record_failure=failure(stage="record", where=None))
    text = checked(red_report(results=(result("a", [*runs, other, lost], evaluators=("e",)),), gates=(), baselines=()))
    assert text.partition("### Errors")[2].split("\n")[2:7] == [
        "`a`:",
        "",
        "- 4 runs, task: `KeyError: 'answer'` at `experiments/support_router/task.py:12`",
        "- 1 run, evaluator `e`: `KeyError: x (from y)` at `experiments/support_router/task.py:12`",
        "- 1 run, record: `KeyError: 'answer'`",
    ]


def test_what_stopped_an_experiment_is_told():
    stopped = result("a", [], evaluators=("e",), opened=None, problems=(failure(stage="import", type="SyntaxError"),))
    text = checked(red_report(results=(stopped,), gates=(), baselines=()))
    assert "- `SyntaxError: 'answer'` at `experiments/support_router/task.py:12`" in text


def test_the_baseline_is_named_with_what_differs():
    text = checked(red_report())
    assert (
        "`doc_search` compared with [`eval_doc_search_2026-11-19T09:30:00Z`]"
        "(https://phoenix.example.com/datasets/RDS1/compare?experimentId=EXP-main&experimentId=EXP-doc_search) on `main` "
        "at `0123456789`: "
        "11 unchanged examples, 1 added, 1 removed."
    ) in text


def test_why_there_is_no_baseline_is_said():
    [baseline] = red_report().baselines
    none = replace(baseline, note="no run of main passed yet", comparisons=())
    assert "`doc_search` has no baseline: no run of main passed yet" in checked(red_report(baselines=(none,)))


def test_an_example_that_became_worse_is_shown_once_with_both_outputs():
    """The largest loss first, all its scores, what was said before and now, and why."""
    text = checked(red_report()).partition("<summary>11 examples became worse</summary>\n\n")[2]
    assert text.split("\n")[:7] == [
        "- `How do I get refund number 2?`",
        f"  - `q2`: `exact_match` True → False, `top_k` 0.55 → 0.50, [trace]({PHOENIX}redirects/traces/{2:032})",
        "  - expected `refund 2`",
        '  - before `{"documents": ["doc 2", "doc 0"]}`',
        '  - now `["doc 1"]`',
        "  - `exact_match` before: `the first document is right`",
        "  - `exact_match`: `the first document is another`",
    ]
    assert text.count("`q2`: ") == 1
    assert "Not shown: 1 of 11 examples; see results.json." in text


def test_long_outputs_are_cut_about_the_first_word_that_differs():
    [baseline] = red_report().baselines
    said = "the same words " * 100
    runs = [
        replace(its, output=f"{said}and NOW this") if its.example.id == "q2" else its
        for its in red_report().results[0].runs
    ]
    search = replace(red_report().results[0], runs=tuple(runs))
    before = replace(baseline.runs[1], output=f"{said}and THEN that")
    made = red_report(results=(search,), baselines=(replace(baseline, runs=(before,)),))
    text = checked(made)
    assert "and THEN that`" in text
    assert "and NOW this`" in text


@pytest.mark.parametrize(("rule", "word", "first"), [("min", "lowest", "q0"), ("max", "highest", "q3")])
def test_a_red_gate_without_a_baseline_shows_the_worst_scores(rule, word, first):
    """Which end is the worst is told by the gate."""
    runs = [run(number, evaluations=(evaluation("e", number / 10),)) for number in range(4)]
    its = result("a", runs, evaluators=("e",))
    red = gate("a", rule=rule, evaluation="e", status="failed", is_red=True)
    text = checked(red_report(results=(its,), gates=(red,), baselines=()))
    assert text.partition(f"<summary>{word.capitalize()} scores</summary>\n\n")[2].startswith(
        f"- `How do I get refund number {first[1:]}?`\n  - `{first}`: `e` 0."
    )


def test_the_job_and_what_it_used_are_told():
    told = run(1, evaluations=(evaluation("e", 1.0, usage=()),))
    ci = {"commit": "fedcba9876543210", "branch": "b`|", "job_url": "https://phoenix.example.com/job/1"}
    made = red_report(results=(result("a", [told], evaluators=("e",)),), gates=(), baselines=(), ci=ci)
    lines = checked(made).splitlines()
    assert lines[2] == "1 experiment · 1 example · 31.2 s · 121 tokens, 0.001 USD"
    assert (
        lines[-1]
        == "Commit `fedcba9876` · branch ``b`|`` · [CI job with all reports](https://phoenix.example.com/job/1)"
    )


@pytest.mark.parametrize(
    ("system", "page", "paths"),
    [
        ("github", "/actions/runs/7", ("/commit/", "/pull/12")),
        ("gitlab", "/-/jobs/7", ("/-/commit/", "/-/merge_requests/12")),
        ("bitbucket", "/pipelines/results/7", ("/commits/", "/pull-requests/12")),
    ],
)
def test_the_commit_and_the_pull_request_are_links_where_the_job_tells(system, page, paths):
    ci = {
        "ci": system,
        "commit": "fedcba9876543210",
        "pull_request": "12",
        "job_url": f"https://phoenix.example.com/team/project{page}",
    }
    line = checked(red_report(ci=ci)).splitlines()[-1]
    assert f"[`fedcba9876`](https://phoenix.example.com/team/project{paths[0]}fedcba9876543210)" in line
    assert f"[pull request `12`](https://phoenix.example.com/team/project{paths[1]})" in line
    for other in ({"commit": "not/../hex"}, {"job_url": f"{PHOENIX}elsewhere"}, {"ci": "another"}):
        assert "](https://phoenix.example.com/team/project" + paths[0] not in checked(red_report(ci={**ci, **other}))


# --- its length ----------------------------------------------------------------------------------------


def wordy(experiments: int, examples: int, length: int) -> Report:
    """A report of many experiments with many regressions, errors and gates."""
    made = red_report()
    [baseline] = made.baselines
    results, baselines, gates = [], [], []
    for number in range(experiments):
        name = f"experiment {number} " + "x" * 50
        runs = [
            run(
                n,
                "said " * length,
                example=example(n, input={"q": "ask " * length}),
                evaluations=(boolean("e", passed=False),),
            )
            for n in range(examples)
        ]
        runs += [run(n, failure=failure(message=f"{n} " * length)) for n in range(examples, 2 * examples)]
        results.append(result(name, runs, evaluators=("e",)))
        compared = baseline.comparisons[0]
        pairs = tuple(replace(compared.pairs[0], example_id=f"q{n}") for n in range(examples))
        baselines.append(replace(baseline, experiment=name, comparisons=(replace(compared, name="e", pairs=pairs),)))
        gates += [
            gate(name, rule="max_drop", evaluation="e", status="failed", is_red=True, text="it fell"),
            gate(name, rule="min", evaluation="e", text="it held" * 50),
        ]
    return red_report(results=tuple(results), baselines=tuple(baselines), gates=tuple(gates))


@pytest.mark.parametrize(
    ("experiments", "examples", "length"),
    [
        (1, 500, 2_000),
        (30, 20, 100),
        pytest.param(200, 5, 50, marks=pytest.mark.slow),
        pytest.param(500, 1, 5, marks=pytest.mark.slow),
    ],
)
def test_it_fits_into_a_comment(experiments, examples, length):
    """Lists are cut before anything else, and say so; the text ends as it should, and the verdict is whole."""
    text = checked(wordy(experiments, examples, length))
    assert text.startswith(f"## ❌ evalwire FAILED: {experiments} gate")
    assert "### Failed gates" in text
    assert "see results.json" in text
    assert len(text.encode()) > 5_000


def test_multibyte_text_is_counted_in_bytes():
    """What has few enough characters may still have too many bytes."""
    names = [f"e{number}" for number in range(7)]
    runs = [
        run(
            n,
            "語" * 300,
            example=example(n, input={"q": "語" * 300}),
            evaluations=[evaluation(e, n / 20) for e in names],
        )
        for n in range(20)
    ]
    gates = tuple(gate("a", rule="min", evaluation=name, status="failed", is_red=True) for name in names)
    text = checked(red_report(results=(result("a", runs, evaluators=tuple(names)),), gates=gates, baselines=()))
    assert text.count("語") > 5_000


def test_what_was_red_is_shown_where_not_all_rows_are():
    """Of 900 experiments the one that failed is in the table."""
    many = [replace(SOUND, name=f"s{number:03}", opened=None) for number in range(900)]
    made = red_report(results=(*many, BROKEN), gates=(), baselines=())
    table = cells(checked(made))
    assert table[1][0].startswith("❌ b<br>")
    assert len(table) < 600
