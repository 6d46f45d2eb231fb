"""The version of evalwire, for package metadata and reports."""

__version__ = "1.0.0.dev0"
