"""An LLM judge: is the answer polite, and does it agree with the expected fact?"""

from evalwire.evaluators import make_llm_judge_evaluator
from pydantic import BaseModel
from pydantic_ai import Agent

PROMPT = """A customer received this answer: {output}
The fact is: {expected_output}
Is the answer polite, and does it agree with the fact?"""


class Verdict(BaseModel):
    """The judge's answer. The reason comes first: the model thinks before it decides."""

    reason: str
    helpful: bool


class Judge:
    """Offers the methods that `make_llm_judge_evaluator` calls."""

    def with_structured_output(self, schema):
        """Make the agent that answers in this form."""
        self.agent = Agent("openai:gpt-5.4-mini-2026-03-17", output_type=schema)
        return self

    async def ainvoke(self, prompt):
        """Return the answer of the model as a `Verdict`."""
        result = await self.agent.run(prompt)
        return result.output


helpful = make_llm_judge_evaluator(
    Judge(),
    PROMPT,
    Verdict,
    result_key="helpful",
    on_error="reraise",  # evalwire retries a rate limit, and reports any other error
    error_callback=lambda _: None,
)
