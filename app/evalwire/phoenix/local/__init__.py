"""Serve the Phoenix of `--local` on the loopback interface, its data in a folder of the project."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names
from evalwire.phoenix.local.server import LocalServer
from evalwire.phoenix.local.sharing import local_phoenix

if TYPE_CHECKING:
    from evalwire.phoenix.local import process, readiness

__all__ = ["LocalServer", "local_phoenix", "process", "readiness"]

# these two need psutil, which comes with the server
__getattr__ = lazy_names(__name__, {"process": "process", "readiness": "readiness"})
