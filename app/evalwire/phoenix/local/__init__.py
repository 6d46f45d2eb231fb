"""The local Phoenix of `--local`, on the loopback interface, with data in a directory of the project."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names
from evalwire.phoenix.local.server import LocalServer
from evalwire.phoenix.local.sharing import local_phoenix

if TYPE_CHECKING:
    from evalwire.phoenix.local import process, readiness

__all__ = ["LocalServer", "local_phoenix", "process", "readiness"]

# both need psutil, which is installed with the server
__getattr__ = lazy_names(__name__, {"process": "process", "readiness": "readiness"})
