"""Masking of secrets, and of commands to CI systems, in all output."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names

if TYPE_CHECKING:
    from evalwire.masking.commands import CommandFilter, reads_commands, without_commands
    from evalwire.masking.controls import plain, plain_line
    from evalwire.masking.mask import MASK, Mask, masked, secrets_in
    from evalwire.masking.secret_names import SecretRules
    from evalwire.masking.streams import MaskedStream

__all__ = [
    "MASK",
    "CommandFilter",
    "Mask",
    "MaskedStream",
    "SecretRules",
    "masked",
    "plain",
    "plain_line",
    "reads_commands",
    "secrets_in",
    "without_commands",
]

_HOMES = {
    **dict.fromkeys(("CommandFilter", "reads_commands", "without_commands"), "commands"),
    **dict.fromkeys(("MASK", "Mask", "masked", "secrets_in"), "mask"),
    **dict.fromkeys(("plain", "plain_line"), "controls"),
    "MaskedStream": "streams",
    "SecretRules": "secret_names",
}

__getattr__ = lazy_names(__name__, _HOMES)
