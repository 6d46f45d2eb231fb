"""Discover the experiments of a folder."""

from evalwire.experiments.discovery import Discovered, find_experiments, importable, load_experiments

__all__ = [
    "Discovered",
    "find_experiments",
    "importable",
    "load_experiments",
]
