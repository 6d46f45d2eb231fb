"""`evalwire validate`: everything that is wrong with a testset file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.datasets import inspect_testset

if TYPE_CHECKING:
    from evalwire.jobs import Context


def validate(context: Context) -> int:
    """Look at the testset without talking to anybody; 1 where there is something to mend.

    Raises:
        UsageError: no file is named.
        TestsetError: it cannot be read.
    """
    path = context.testset_path()
    inspection = inspect_testset(path, context.columns())
    for issue in inspection.issues:
        context.out.write(f"{path}: {issue}\n")
    for advice in dict.fromkeys(issue.advice for issue in inspection.issues):
        if advice:
            context.out.write(f"{advice}\n")
    sizes = ", ".join(f"{name} {size}" for name, size in inspection.sizes.items())
    count = len(inspection.issues)
    word = f"{count} {'issue' if count == 1 else 'issues'}" if count else "valid"
    context.out.write(f"{path}: {word}; examples by dataset: {sizes or 'none'}\n")
    return 1 if inspection.issues else 0
