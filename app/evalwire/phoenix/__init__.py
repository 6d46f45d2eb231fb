"""Talk to a Phoenix server; the only room that imports its client."""

from evalwire.phoenix.connection import connect
from evalwire.phoenix.gateway import Phoenix
from evalwire.phoenix.local import local_phoenix
from evalwire.phoenix.retries import RetryPolicy

__all__ = [
    "Phoenix",
    "RetryPolicy",
    "connect",
    "local_phoenix",
]
