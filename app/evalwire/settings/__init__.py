"""Find every setting and where its value came from."""

from evalwire.settings.ci import ci_metadata, parallel_job, pipeline_run
from evalwire.settings.environment import (
    CREDENTIAL_VARIABLES,
    ENDPOINT_VARIABLES,
    PHOENIX_ADDRESSES,
    api_key_from_file,
    merge_env_file,
)
from evalwire.settings.settings import CONFIG_FILE, Settings, load_settings, read_config

__all__ = [
    "CONFIG_FILE",
    "CREDENTIAL_VARIABLES",
    "ENDPOINT_VARIABLES",
    "PHOENIX_ADDRESSES",
    "Settings",
    "api_key_from_file",
    "ci_metadata",
    "load_settings",
    "merge_env_file",
    "parallel_job",
    "pipeline_run",
    "read_config",
]
