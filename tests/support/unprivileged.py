"""Run a program as somebody whom the modes of files bind: root without the capabilities to pass over them."""

from __future__ import annotations

import ctypes
import os

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2

AS_ON_3_14 = """
    # what pathlib does on Python 3.14, for older ones
    import os, pathlib
    for name, ask in {"is_file": os.path.isfile, "is_dir": os.path.isdir, "exists": os.path.exists}.items():
        setattr(pathlib.Path, name, lambda self, ask=ask, **_: ask(self))
    pathlib.Path.is_symlink = lambda self: os.path.islink(self)
"""


def drop_privileges() -> None:
    """Give up what lets root read everything, from the next `exec` on; for `preexec_fn`."""
    if os.geteuid() == 0:
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            if ctypes.CDLL(None, use_errno=True).prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0):
                raise OSError(ctypes.get_errno(), "cannot drop a capability")
