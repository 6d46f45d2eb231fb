"""A judge that is right in a known share: it finds 92% of the right answers and 69% of the wrong answers."""

import os
import random
import zlib
from collections.abc import Mapping

from opentelemetry import trace

from experiments.refund_answers._judge_prompt import PROMPT

FINDS_RIGHT, FINDS_WRONG = 0.92, 0.69
SEED = os.environ.get("SEED") or random.random()  # each run of a model has its own luck


class Judge:
    """An evaluator in the place of a model, with the span that a model's client would record."""

    kind = "LLM"

    def __call__(self, output: str, expected: Mapping[str, str], input: Mapping[str, str]) -> dict[str, object]:  # noqa: A002 - the name that evalwire passes
        """Return whether the judge finds the answer right, with its reason."""
        prompt = PROMPT.format(output=output, days=expected["expected_output"])
        with trace.get_tracer("judge").start_as_current_span("judge") as span:
            span.set_attribute("openinference.span.kind", "LLM")
            span.set_attribute("llm.model_name", "stand-in-judge-1")
            span.set_attribute("llm.token_count.prompt", len(prompt.split()))
            span.set_attribute("llm.token_count.completion", 1)
        is_right = f"within {expected['expected_output']} days" in output
        luck = zlib.crc32(f"{SEED} {input['user_query']}".encode()) % 1_000 / 1_000
        is_found = luck < (FINDS_RIGHT if is_right else FINDS_WRONG)
        says = is_right == is_found
        return {"score": says, "explanation": f"The answer {'agrees' if says else 'does not agree'} with the fact."}


judged = Judge()
