"""Find words that evalwire's text does not use (`words.toml`), and count what makes text hard to read.

python tests/support/words.py            # the lint: a line for each finding, exit 1 if there are any
python tests/support/words.py --count    # words, long sentences, "what" and "one" per 1,000 words, here
python tests/support/words.py --count DIR...   # the same of other projects' checkouts
python tests/support/words.py --places PATH... # where "what", "one" and long sentences stand in files or directories
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("words.toml")
PROSE = ["README.md", "CHANGELOG.md", "docs/**/*.md", ".github/*.md"]
PYTHON = [
    "app/**/*.py",
    "benchmarks/**/*.py",
    "image/*.py",
    "action/*.py",
    ".github/release/*.py",
    "docs/*.py",
    "examples/**/*.py",
]
SCRIPTS = [
    "Makefile", "Dockerfile", "docker-compose.yml", "entrypoint.sh", "action.yml", "action/*.sh", "image/*", ".ci/run",
    ".github/**/*.yml", "examples/**/*.yml", "examples/**/*.yaml", "examples/**/*.sh", "examples/**/*.toml", "app/**/*.toml",
    "pyproject.toml",
]  # fmt: skip
LONG = 25  # words in a sentence
COLUMNS = 100  # of a line of Markdown
NOT_CODE = {"test", "tests", "docs", "unit_test"}


@dataclass(frozen=True)
class Text:
    """A piece of prose: where it starts, and whether it is a docstring, a comment, a message or a paragraph."""

    path: Path
    line: int
    kind: str
    prose: str


def texts_of_python(path: Path) -> Iterator[Text]:
    """Yield the docstrings, comments and sentences in string literals of a Python file."""
    source = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        comment = token.string.lstrip("#: ")
        if token.type == tokenize.COMMENT and not re.match(r"(noqa|type:|pragma|fmt:|!)", comment):
            yield Text(path, token.start[0], "comment", without_code(comment))
    tree = ast.parse(source)
    docstrings: set[int] = set()
    parts: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
            ):
                docstrings.add(id(statement.value))
                prose = re.sub(r"^( +)\w+:(?= )", r"\1X:", statement.value.value, flags=re.MULTILINE)  # in `Args`
                yield Text(path, statement.lineno, "docstring", without_code(prose))
        if isinstance(node, ast.JoinedStr):
            parts.update(id(value) for value in node.values)
            filled = "".join(value.value if isinstance(value, ast.Constant) else "`X`" for value in node.values)
            if sentence_like(filled):
                yield Text(path, node.lineno, "message", without_code(filled))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings | parts
            and sentence_like(node.value)
        ):
            yield Text(path, node.lineno, "message", without_code(node.value))


def sentence_like(literal: str) -> bool:
    """Check whether a string literal is for people: three words or more, and not a list of names, a pattern, a path or markup."""
    return (
        len(re.findall(r"[A-Za-z]{2,}", literal)) >= 3
        and " " in literal.strip()
        and not literal.isupper()
        and not re.search(r"\(\?|\\[bdsw]|</|{%|\(\$", literal)
    )


def texts_of_markdown(path: Path) -> Iterator[Text]:
    """Yield the paragraphs, list items and table rows of a Markdown file, without its code."""
    lines = path.read_text().splitlines()
    fenced = False
    block: list[str] = []
    start = 1

    def end() -> Iterator[Text]:
        if block:
            yield Text(path, start, "paragraph", without_code("\n".join(block)))
            block.clear()

    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
            yield from end()
        elif fenced or (line.startswith("    ") and not block):
            continue
        elif not line.strip() or re.match(r"\s*([-*|#>]|\d+\.)\s?", line):
            yield from end()
            if line.strip() and not re.fullmatch(r"[\s|:-]+", line):
                block.append(line)
                start = number
        else:
            if not block:
                start = number
            block.append(line)
    yield from end()


def texts_of_script(path: Path) -> Iterator[Text]:
    """Yield the comments of a file in which they start with `#`, and values of `description:` keys."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if found := re.search(r"(?:^|\s)#+(?!!)\s(.+)|^\s*(?:description|name): (.+)", line):
            yield Text(path, number, "comment", without_code(found[1] or found[2]))


def without_code(prose: str) -> str:
    """Return prose in which code, addresses and links' targets are one placeholder each."""
    prose = re.sub(r"``?[^`]+``?", " X ", prose)
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    prose = re.sub(r"^(?: {4,}|>>> ).*(?:::|[=({[]).*$", "", prose, flags=re.MULTILINE)
    return re.sub(r"https?://\S+|<[^<>\n]+>", " X ", prose)


def files(root: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the files that match, without what tools generate."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(
        path
        for path in found
        if not {".venv", "build", "site", "node_modules", ".evalwire", "__pycache__"} & set(path.parts)
    )


def house_texts() -> Iterator[Text]:
    """Yield all prose of this project for which the list holds."""
    for path in files(ROOT, PROSE):
        yield from texts_of_markdown(path)
    for path in files(ROOT, PYTHON):
        yield from texts_of_python(path)
    for path in files(ROOT, SCRIPTS):
        if path.suffix not in {".py", ".md"}:
            yield from texts_of_script(path)


def findings(words: dict, texts: Iterable[Text]) -> Iterator[str]:
    """Yield a line for each use of a word that is on the list."""
    patterns = [
        (re.compile(rf"(?<!\w)(?:{word['out']})(?!\w)", 0 if word.get("case") else re.IGNORECASE), word["use"])
        for word in words["words"]
    ]
    start = re.compile(rf"(?:{words['start']['out']})\b")
    for text in texts:
        for pattern, use in patterns:
            for match in pattern.finditer(text.prose):
                line = text.line + text.prose[: match.start()].count("\n")
                yield f"{text.path.relative_to(ROOT)}:{line}: {match[0]!r} -> {use}"
        if text.kind == "docstring" and (match := start.match(text.prose.strip())):
            yield f"{text.path.relative_to(ROOT)}:{text.line}: docstring starts with {match[0]!r} -> {words['start']['use']}"


def named_badly(words: dict, path: Path) -> Iterator[str]:
    """Yield a line for each name in a Python file that has a word of the list in it."""
    out = set(words["names"]["out"])
    seen = set()
    for node in ast.walk(ast.parse(path.read_text())):
        name = getattr(node, "name", None) or getattr(node, "arg", None)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        if isinstance(name, str) and out & set(name.lower().split("_")) and name not in seen:
            seen.add(name)
            yield f"{path.relative_to(ROOT)}:{node.lineno}: name {name!r} -> {words['names']['use']}"


def sentences(prose: str) -> list[str]:
    """Split prose into sentences; each list item, and each entry of a docstring's section, is a sentence."""
    prose = re.sub(r"\n\s*(?:Args|Attributes|Raises|Returns|Yields):(?=\s*\n)", "\n\n", prose)
    ends = r"(?<=[.!?])\s+(?=[A-Z`\"'(\[]|evalwire\b)|\n\s*\n|(?<=:)\n|\n(?= +\w+: |\s*- )"
    return [part for part in re.split(ends, prose) if part.strip()]


def counted(texts: Iterable[Text]) -> tuple[int, int, int, float, float]:
    """Return words, sentences, sentences above 25 words, and "what" and "one" per 1,000 words."""
    words = long = whats = ones = number = 0
    for text in texts:
        for sentence in sentences(text.prose):
            found = re.findall(r"[A-Za-z][A-Za-z'-]*", sentence)
            words += len(found)
            number += 1
            long += len(found) > LONG
            whats += len(re.findall(r"\bwhat(?:ever)?\b", sentence, re.IGNORECASE))
            ones += len(re.findall(r"\bones?\b", sentence, re.IGNORECASE))
    per = 1000 / max(1, words)
    return words, number, long, whats * per, ones * per


def parts_of(root: Path) -> dict[str, list[Text]]:
    """Return the texts of the pages and of the code of a checkout."""
    pages = [path for path in files(root, ["README.md", "README.rst", "docs/**/*.md"]) if "decisions" not in path.parts]
    code = [path for path in files(root, ["app/**/*.py", "*/**/*.py"]) if not NOT_CODE & set(path.parts)]
    return {
        "pages": [text for path in pages for text in texts_of_markdown(path)],
        "code": [text for path in code for text in texts_of_python(path)],
    }


def wide_lines(path: Path) -> Iterator[str]:
    """Yield a line for each line of prose in a Markdown file that has more than 100 columns; links may have more."""
    fenced = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        is_prose = not fenced and not line.startswith(("|", "    ", "!")) and not re.fullmatch(r"- \[.*\)", line)
        if is_prose and len(line) > COLUMNS:
            yield f"{path.relative_to(ROOT)}:{number}: {len(line)} columns, at most {COLUMNS}"


def words_of_docs() -> int:
    """Return the number of words in the pages of `docs/`, code included; decisions are records, not pages."""
    pages = "\n".join(path.read_text() for path in files(ROOT, ["docs/*.md"]))
    return sum(bool(re.search(r"\w", word)) for word in pages.replace("|", " ").split())


def over_the_limits(limits: dict) -> Iterator[str]:
    """Yield a line for each count of this project that is above its limit."""
    if (number := words_of_docs()) > limits["docs"]:
        yield f"docs: {number:,} words, at most {limits['docs']:,}"
    for part, texts in parts_of(ROOT).items():
        words, number, long, whats, ones = counted(texts)
        shares = {"long": 100 * long / number, "what": whats, "one": ones}
        for name, limit in limits[part].items():
            if shares[name] > limit:
                yield f"{part}: {name!r} {shares[name]:.1f}, at most {limit}; `--places` shows where ({words:,} words)"


def show_counts(roots: list[Path]) -> None:
    """Print the counts of the pages and of the code of each checkout."""
    say(f"{'':34}{'words':>8}{'sentences':>11}{'> 25 words':>12}{'what/1000':>11}{'one/1000':>10}")
    for root in roots:
        for part, texts in parts_of(root).items():
            words, number, long, whats, ones = counted(texts)
            label = f"{root.name}, {part}"
            say(f"{label:34}{words:8,}{number:11,}{long / max(1, number):12.1%}{whats:11.1f}{ones:10.1f}")


def say(line: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{line}\n")


def show_places(paths: list[Path]) -> None:
    """Print each sentence in these files that `--count` counts as hard to read."""
    for text in house_texts():
        if any(text.path.is_relative_to(path) for path in paths):
            for sentence in sentences(text.prose):
                marks = [
                    word
                    for word in ("what", "whatever", "one", "ones")
                    if re.search(rf"\b{word}\b", sentence, re.IGNORECASE)
                ]
                if len(re.findall(r"[A-Za-z][A-Za-z'-]*", sentence)) > LONG:
                    marks.append("long")
                if marks:
                    line = text.line + text.prose[: text.prose.find(sentence)].count("\n")
                    say(f"{text.path.relative_to(ROOT)}:{line}: {','.join(marks)}: {' '.join(sentence.split())}")


def main(arguments: list[str]) -> int:
    """Run the lint, or print counts."""
    if arguments[:1] == ["--count"]:
        show_counts([Path(root).resolve() for root in arguments[1:]] or [ROOT])
        return 0
    if arguments[:1] == ["--places"]:
        show_places([Path(path).resolve() for path in arguments[1:]] or [ROOT])
        return 0
    words = tomllib.loads(LIST.read_text())
    found = list(findings(words, house_texts()))
    for path in files(ROOT, PYTHON):
        found += named_badly(words, path)
    for path in files(ROOT, PROSE):
        found += wide_lines(path)
    found += over_the_limits(words["limits"])
    say("\n".join(found) or "no word is out")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
