"""`evalwire baseline pin`: tag a recorded experiment as a baseline."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalwire.errors import UsageError

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation


_TAG = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")


def pin(invocation: Invocation, *, experiment_id: str, tag: str) -> int:
    """Tag an experiment and return the exit code.

    Raises:
        UsageError: Phoenix does not allow this tag.
        ExperimentNotFound: the experiment does not exist.
        PhoenixError: Phoenix rejected the request or did not answer.
    """
    if _TAG.fullmatch(tag) is None:
        raise UsageError(f"--tag {tag}: a tag has only lowercase letters, digits, - and _. Example: `release`.")
    phoenix = invocation.connect(None)
    record = phoenix.experiments.find(experiment_id)
    phoenix.experiments.tag(experiment_id, tag)
    invocation.console.show(
        f"{record['name']} ({experiment_id}) has the tag {tag}\nCompare with it: --baseline tag:{tag}\n"
    )
    return 0
