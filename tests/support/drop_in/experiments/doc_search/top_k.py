from evalwire.evaluators import make_top_k_evaluator

top_k = make_top_k_evaluator(K=5)
