"""Variants of experiments, each in a process of its own with its own environment variables."""
