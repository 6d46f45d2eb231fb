"""An LLM judge: is the answer polite, and does it agree with the expected fact?"""

import os

import litellm
from evalwire.evaluators import make_llm_judge_evaluator
from pydantic import BaseModel

PROMPT = """A customer received this answer: {output}
The fact is: {expected_output}
Is the answer polite, and does it agree with the fact?"""

KEY = os.environ["OPENAI_API_KEY"]


class Verdict(BaseModel):
    """The judge's answer. The reason comes first: the model thinks before it decides."""

    reason: str
    helpful: bool


class Judge:
    """Offers the methods that `make_llm_judge_evaluator` calls."""

    def with_structured_output(self, schema):
        """Keep the form of the answer."""
        self.schema = schema
        return self

    async def ainvoke(self, prompt):
        """Return the answer of the model as a `Verdict`."""
        response = await litellm.acompletion(
            model="openai/gpt-5.4-mini-2026-03-17",
            api_key=KEY,
            max_retries=0,
            messages=[{"role": "user", "content": prompt}],
            response_format=self.schema,
        )
        return self.schema.model_validate_json(response.choices[0].message.content)


helpful = make_llm_judge_evaluator(
    Judge(),
    PROMPT,
    Verdict,
    result_key="helpful",
    on_error="reraise",  # evalwire retries a rate limit, and reports any other error
    error_callback=lambda _: None,
)
