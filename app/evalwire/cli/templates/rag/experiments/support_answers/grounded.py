"""An LLM judge: do the documents support the answer?"""

from evalwire.evaluators import make_llm_judge_evaluator
from openai import AsyncOpenAI
from pydantic import BaseModel

PROMPT = """Documents: {output[context]}
Answer: {output[answer]}
Do the documents support the answer? An answer that says I do not know is supported."""

client = AsyncOpenAI(max_retries=0)


class Verdict(BaseModel):
    """The judge's answer. The reason comes first: the model thinks before it decides."""

    reason: str
    grounded: bool


class Judge:
    """Offers the methods that `make_llm_judge_evaluator` calls."""

    def with_structured_output(self, schema):
        """Keep the form of the answer."""
        self.schema = schema
        return self

    async def ainvoke(self, prompt):
        """Return the answer of the model as a `Verdict`."""
        response = await client.responses.parse(
            model="gpt-5.4-mini-2026-03-17",
            input=prompt,
            text_format=self.schema,
        )
        return response.output_parsed


grounded = make_llm_judge_evaluator(
    Judge(),
    PROMPT,
    Verdict,
    result_key="grounded",
    on_error="reraise",  # evalwire retries a rate limit, and reports any other error
    error_callback=lambda _: None,
)
