"""A built-in evaluator: checks that the output equals the expected output."""

from evalwire.evaluators import make_exact_match_evaluator

exact_match = make_exact_match_evaluator()
