"""Measure the rows, print the table, and write it as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, table
from benchmarks.bench import Bench
from benchmarks.contest import Unmeasured
from benchmarks.environments import Environments
from benchmarks.rows import DEFAULT, ROWS

RESULTS = Path(__file__).parent / "results.json"
QUICK = "QUICK: a tenth of the examples and a single repetition. Do not quote these figures."


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; return 1 only with `--guard`, if a ratio is far off its target or could not be measured."""
    options = _parser().parse_args(argv)
    environments = Environments(Path(sys.prefix) / "benchmarks", allowed=not options.no_peers)
    bench = Bench(environments, repetitions=options.repetitions, quick=options.quick)
    said = machine.facts()
    lines: list[table.Line] = []
    try:
        for name in options.only or DEFAULT:
            print(f"{name} ...", file=sys.stderr)
            try:
                lines += ROWS[name](bench)
            except Exception as problem:  # continue with the other rows
                lines.append(_unmeasured(name, problem))
    finally:
        bench.close()
        if not options.keep:
            environments.remove()
    notes = [machine.sentence(said), *([QUICK] if options.quick else [])]
    print(table.markdown(lines) if options.markdown else table.text(lines))
    print("", *notes, sep="\n")
    values = {**said, "quick": options.quick, "lines": [line.values() for line in lines], "raw": bench.raw}
    options.json.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    far = [line for line in lines if options.guard and line.is_far_off(options.guard)]
    for line in far:
        print(f"far off its target: {line.row}, {line.measured}, {line.other}: {line.note}", file=sys.stderr)
    return int(bool(far))


def _unmeasured(row: str, problem: Exception) -> table.Line:
    why = str(problem) if isinstance(problem, Unmeasured) else f"{type(problem).__name__}: {problem}"
    return table.Line(
        row=row, measured="all of it", unit="", ours=None, other="-", theirs=None, target=table.AHEAD, note=why
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", type=_rows, metavar="ROW[,ROW]", help=f"measure only these rows of: {', '.join(ROWS)}"
    )
    parser.add_argument("--no-peers", action="store_true", help="do not install and measure other libraries")
    parser.add_argument("--keep", action="store_true", help="keep the installed environments for the next run")
    parser.add_argument(
        "--repetitions", type=int, metavar="N", help="number of runs of each contender (default: depends on the row)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="run a tenth of the examples once, to check that the benchmark works"
    )
    parser.add_argument(
        "--guard", type=float, metavar="FACTOR", help="exit 1 if a ratio misses its target by more than this factor"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", default=RESULTS, help="write the figures to this file as JSON"
    )
    return parser


def _rows(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in ROWS]:
        raise argparse.ArgumentTypeError(f"unknown row {', '.join(unknown)}. The rows are: {', '.join(ROWS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
