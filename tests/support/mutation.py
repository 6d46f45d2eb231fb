"""Change the modules behind the verdict, line by line, and see that a unit test fails each time (`make mutation`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build/mutation"
JOURNAL = "tests/integration/test_journal.py"
SECONDS = 30  # for each test: one that waits without end has noticed the mutant

# Each module or room, and the tests that have to notice. What only a real Phoenix can notice is not among them: one
# try would take minutes, and there are thousands.
MUTATED = {
    "engine/*": ["tests/unit/engine"],
    "gates/*": ["tests/unit/gates"],
    "jobs/outcome.py": ["tests/unit/jobs"],
    "model/agreement.py": ["tests/unit/model/test_agreement.py"],
    "model/audit.py": ["tests/unit/model/test_audit.py"],
    "model/budget.py": ["tests/unit/model/test_budget.py"],
    "model/corrected_rates.py": ["tests/unit/model/test_corrected_rates.py"],
    "model/noise.py": ["tests/unit/model/test_noise.py"],
    "model/permutation.py": ["tests/unit/model/test_permutation.py"],
    "model/power.py": ["tests/unit/model/test_power.py", "tests/unit/model/test_stats.py"],
    "model/sequential.py": ["tests/unit/model/test_sequential.py"],
    "model/stats.py": ["tests/unit/model/test_stats.py"],
    "model/stopping.py": ["tests/unit/model/test_stopping.py"],
    "recording/*": [JOURNAL, "tests/unit/recording"],
}

# NOTE: mutmut finds a package at the top or in src/ alone, so it is given a copy that has one.
CONFIGURATION = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = [{files}]
pytest_add_cli_args_test_selection = [{tests}]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "not slow and not needs_phoenix and not browser", {arguments}]
also_copy = ["benchmarks"]
timeout_constant = 10.0
"""


def main(wanted: list[str]) -> int:
    """Run mutmut on these modules, or on all, and show what survived; 1 if anything did."""
    unknown = [name for name in wanted if _tests_of(name) is None]
    if unknown:
        sys.stderr.write(f"no tests are named for {', '.join(unknown)}; there: {', '.join(MUTATED)}\n")
        return 2
    modules = {name: _tests_of(name) or [] for name in wanted} or MUTATED
    shutil.rmtree(WORK, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "app", WORK / "src", ignore=ignored)
    for needed in ("tests", "benchmarks"):
        shutil.copytree(ROOT / needed, WORK / needed, ignore=ignored)
    files = ", ".join(f'"src/evalwire/{name}"' for name in modules)
    tests = ", ".join(f'"{test}"' for test in dict.fromkeys(test for named in modules.values() for test in named))
    text = (ROOT / "pyproject.toml").read_text() + CONFIGURATION.format(
        files=files, tests=tests, arguments=f'"--timeout={SECONDS}"'
    )
    (WORK / "pyproject.toml").write_text(text)
    program = Path(sys.executable).with_name("mutmut")
    run = subprocess.run([program, "run", "--max-children", str(os.cpu_count() or 1)], cwd=WORK)
    if run.returncode:
        return run.returncode
    listed = subprocess.run([program, "results"], cwd=WORK, capture_output=True, text=True, check=True).stdout
    survivors = [
        line.split(":")[0].strip()
        for line in listed.splitlines()
        if line.strip().endswith(("survived", "no tests", "suspicious", "timeout"))
    ]
    for name in survivors:
        subprocess.run([program, "show", name], cwd=WORK, check=True)
    sys.stdout.write(f"{len(survivors)} mutants survived, or met no test\n")
    return int(bool(survivors))


def _tests_of(name: str) -> list[str] | None:
    room = name.partition("/")[0]
    return MUTATED.get(name) or MUTATED.get(f"{room}/*")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
