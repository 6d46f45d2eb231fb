from evalwire.evaluators import make_membership_evaluator

is_in = make_membership_evaluator()
