"""`evalwire validate`: check a testset for errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.datasets import describe_lists, inspect_testset
from evalwire.jobs import testset_columns, testset_path

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation


def validate(invocation: Invocation) -> int:
    """Check the testset without contacting Phoenix; return 1 if it has issues, else 0.

    Raises:
        UsageError: no file was given.
        TestsetError: the file cannot be read.
    """
    path = testset_path(invocation.settings)
    columns = testset_columns(invocation.settings)
    inspection = inspect_testset(path, columns)
    for issue in inspection.issues:
        invocation.console.show(f"{path}: {issue}\n")
    for advice in dict.fromkeys(issue.advice for issue in inspection.issues):
        if advice:
            invocation.console.show(f"{advice}\n")
    for line in describe_lists(inspection, columns):
        invocation.console.show(f"{path}: {line}\n")
    sizes = ", ".join(f"{name} {size}" for name, size in inspection.sizes.items())
    count = len(inspection.issues)
    word = f"{count} {'issue' if count == 1 else 'issues'}" if count else "valid"
    invocation.console.show(f"{path}: {word}; examples by dataset: {sizes or 'none'}\n")
    return 1 if inspection.issues else 0
