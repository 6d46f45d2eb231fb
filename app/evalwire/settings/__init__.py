"""Settings from flags, variables and files, with the source of each value."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names
from evalwire.settings.ci import ci_metadata, is_ci, origin_metadata, parallel_job, pipeline_run
from evalwire.settings.environment import api_key_from_file, merge_env_file, phoenix_variables
from evalwire.settings.git import forget_working_copies
from evalwire.settings.known_keys import experiment_table
from evalwire.settings.load import CONFIG_FILE, gate_settings, load_settings, parse_option, read_config
from evalwire.settings.options import GATING, LIMITS, OUTPUT, PANELS, SCOPE, Option
from evalwire.settings.settings import OPTIONS, Settings
from evalwire.settings.shard_option import ShardOption

if TYPE_CHECKING:
    from evalwire.settings import schema

__all__ = [
    "CONFIG_FILE",
    "GATING",
    "LIMITS",
    "OPTIONS",
    "OUTPUT",
    "PANELS",
    "SCOPE",
    "Option",
    "Settings",
    "ShardOption",
    "api_key_from_file",
    "ci_metadata",
    "experiment_table",
    "forget_working_copies",
    "gate_settings",
    "is_ci",
    "load_settings",
    "merge_env_file",
    "origin_metadata",
    "parallel_job",
    "parse_option",
    "phoenix_variables",
    "pipeline_run",
    "read_config",
    "schema",
]

__getattr__ = lazy_names(__name__, {"schema": "schema"})
