"""An LLM judge: is the answer polite, and does it agree with the expected fact?"""

import os

from anthropic import AsyncAnthropic
from evalwire.evaluators import make_llm_judge_evaluator
from pydantic import BaseModel

PROMPT = """A customer received this answer: {output}
The fact is: {expected_output}
Is the answer polite, and does it agree with the fact?"""

client = AsyncAnthropic(api_key=os.environ["ANTHROPIC_API_KEY"], max_retries=0)


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
        message = await client.messages.parse(
            model="claude-haiku-4-5-20251001",
            max_tokens=500,
            messages=[{"role": "user", "content": prompt}],
            output_format=self.schema,
        )
        return message.parsed_output


helpful = make_llm_judge_evaluator(
    Judge(),
    PROMPT,
    Verdict,
    result_key="helpful",
    on_error="reraise",  # evalwire retries a rate limit, and reports any other error
    error_callback=lambda _: None,
)
