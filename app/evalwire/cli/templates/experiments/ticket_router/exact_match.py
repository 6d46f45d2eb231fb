"""An evaluator, which evalwire brings along: is the output the expected one?"""

from evalwire.evaluators import make_exact_match_evaluator

exact_match = make_exact_match_evaluator()
