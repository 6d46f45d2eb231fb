"""`evalwire baseline pin`: tag a recorded experiment as a baseline."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.model import partial_facts

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation


_TAG = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")


def pin(invocation: Invocation, *, experiment_id: str, tag: str) -> int:
    """Tag an experiment and return the exit code.

    Raises:
        UsageError: Phoenix does not allow this tag, or the experiment is from a partial run.
        ExperimentNotFound: the experiment does not exist.
        PhoenixError: Phoenix rejected the request or did not answer.
    """
    if _TAG.fullmatch(tag) is None:
        raise UsageError(f"--tag {tag}: a tag has only lowercase letters, digits, - and _. Example: `release`.")
    phoenix = invocation.connect(None)
    record = phoenix.experiments.find(experiment_id)
    if partial_facts(record.get("metadata")) is not None:
        raise UsageError(f"{experiment_id} is from a partial run, which is never a baseline. Pin a complete run.")
    phoenix.experiments.tag(experiment_id, tag)
    invocation.console.show(
        f"{record['name']} ({experiment_id}) has the tag {tag}\nCompare with it: --baseline tag:{tag}\n"
    )
    return 0
