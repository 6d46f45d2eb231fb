"""The commands, a module each, imported when the command runs."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names

if TYPE_CHECKING:
    from evalwire.cli.commands import (
        baseline,
        check,
        comment,
        compare,
        export,
        gate,
        init,
        judge,
        label,
        list_,
        local,
        new,
        noise,
        plan,
        plan_size,
        report,
        resume,
        run,
        runs,
        score,
        serve,
        upload,
        validate,
        watch,
    )

__all__ = [
    "baseline",
    "check",
    "comment",
    "compare",
    "export",
    "gate",
    "init",
    "judge",
    "label",
    "list_",
    "local",
    "new",
    "noise",
    "plan",
    "plan_size",
    "report",
    "resume",
    "run",
    "runs",
    "score",
    "serve",
    "upload",
    "validate",
    "watch",
]

__getattr__ = lazy_names(__name__, {verb: verb for verb in __all__})
