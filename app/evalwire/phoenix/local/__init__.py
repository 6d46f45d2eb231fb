"""The local Phoenix of `--local`, on the loopback interface, with data in a directory of the project."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names
from evalwire.phoenix.local.server import LocalServer, Progress
from evalwire.phoenix.local.sharing import LocalStatus, local_phoenix, local_status, stop_local_phoenix

if TYPE_CHECKING:
    from evalwire.phoenix.local import process, readiness
    from evalwire.phoenix.local.process import wait_for_end

__all__ = [
    "LocalServer",
    "LocalStatus",
    "Progress",
    "local_phoenix",
    "local_status",
    "process",
    "readiness",
    "stop_local_phoenix",
    "wait_for_end",
]

# both need psutil, which is installed with the server
__getattr__ = lazy_names(__name__, {"process": "process", "readiness": "readiness", "wait_for_end": "process"})
