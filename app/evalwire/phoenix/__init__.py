"""Access to a Phoenix server; the only room that imports the Phoenix client."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names
from evalwire.phoenix.access import (
    CREDENTIAL_VARIABLES,
    ENDPOINT_VARIABLES,
    PHOENIX_ADDRESSES,
    Access,
    check_key,
    read_access,
)
from evalwire.phoenix.retry_policy import RetryPolicy

if TYPE_CHECKING:
    from evalwire.phoenix.connection import connect, open_connection
    from evalwire.phoenix.local import (
        LocalServer,
        Progress,
        local_phoenix,
        local_status,
        stop_local_phoenix,
        wait_for_end,
    )
    from evalwire.phoenix.public_client import PublicClient, has_public_calls_only
    from evalwire.phoenix.server import Phoenix

__all__ = [
    "CREDENTIAL_VARIABLES",
    "ENDPOINT_VARIABLES",
    "PHOENIX_ADDRESSES",
    "Access",
    "LocalServer",
    "Phoenix",
    "Progress",
    "PublicClient",
    "RetryPolicy",
    "check_key",
    "connect",
    "has_public_calls_only",
    "local_phoenix",
    "local_status",
    "open_connection",
    "read_access",
    "stop_local_phoenix",
    "wait_for_end",
]

__getattr__ = lazy_names(
    __name__,
    {
        "LocalServer": "local",
        "Phoenix": "server",
        "Progress": "local",
        "PublicClient": "public_client",
        "connect": "connection",
        "open_connection": "connection",
        "has_public_calls_only": "public_client",
        "local_phoenix": "local",
        "local_status": "local",
        "stop_local_phoenix": "local",
        "wait_for_end": "local",
    },
)
