"""The version of evalwire, which the package's metadata and every report name."""

__version__ = "1.0.0.dev0"
