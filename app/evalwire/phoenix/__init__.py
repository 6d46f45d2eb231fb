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
    from evalwire.phoenix.connection import connect
    from evalwire.phoenix.local import local_phoenix
    from evalwire.phoenix.public_client import PublicClient, has_public_calls_only
    from evalwire.phoenix.server import Phoenix

__all__ = [
    "CREDENTIAL_VARIABLES",
    "ENDPOINT_VARIABLES",
    "PHOENIX_ADDRESSES",
    "Access",
    "Phoenix",
    "PublicClient",
    "RetryPolicy",
    "check_key",
    "connect",
    "has_public_calls_only",
    "local_phoenix",
    "read_access",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Phoenix": "server",
        "PublicClient": "public_client",
        "connect": "connection",
        "has_public_calls_only": "public_client",
        "local_phoenix": "local",
    },
)
