"""An LLM judge: is the answer polite, and does it agree with the expected fact?"""

from evalwire.evaluators import make_llm_judge_evaluator
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

PROMPT = """A customer received this answer: {output}
The fact is: {expected_output}
Is the answer polite, and does it agree with the fact?"""


class Verdict(BaseModel):
    """The judge's answer. The reason comes first: the model thinks before it decides."""

    reason: str
    helpful: bool


helpful = make_llm_judge_evaluator(
    ChatOpenAI(model="gpt-5.4-mini-2026-03-17", max_retries=0),
    PROMPT,
    Verdict,
    result_key="helpful",
    on_error="reraise",  # evalwire retries a rate limit, and reports any other error
    error_callback=lambda _: None,
)
