"""`evalwire baseline pin`: give a recorded experiment a tag, as a fixed point to compare with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalwire.errors import UsageError

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation


_TAG = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")


def pin(invocation: Invocation, *, experiment_id: str, tag: str) -> int:
    """Tag an experiment; the exit code.

    Raises:
        UsageError: Phoenix takes no such tag.
        ExperimentNotFound: there is no such experiment.
        PhoenixError: Phoenix refused, or gave no usable answer.
    """
    if _TAG.fullmatch(tag) is None:
        raise UsageError(f"--tag {tag}: Phoenix takes small letters, digits, - and _, such as `release`.")
    phoenix = invocation.connect(None)
    record = phoenix.experiments.find(experiment_id)
    phoenix.experiments.tag(experiment_id, tag)
    invocation.console.show(
        f"{record['name']} ({experiment_id}) has the tag {tag}\nCompare with it: --baseline tag:{tag}\n"
    )
    return 0
