"""A deterministic evaluator: the answer contains the expected text."""

from evalwire.evaluators import make_contains_evaluator

states_the_fact = make_contains_evaluator()
