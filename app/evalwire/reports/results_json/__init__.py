"""Write a report as `results.json`, as described by docs/results.schema.json, and read it back."""

from evalwire.reports.results_json.document import SCHEMA_VERSION
from evalwire.reports.results_json.reader import load_failing, load_results, read_results
from evalwire.reports.results_json.writer import pieces

__all__ = ["SCHEMA_VERSION", "load_failing", "load_results", "pieces", "read_results"]
