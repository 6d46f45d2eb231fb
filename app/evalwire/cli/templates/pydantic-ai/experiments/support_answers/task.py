"""Answer a customer with pydantic-ai. Set OPENAI_API_KEY."""

from evalwire import setup_observability
from pydantic_ai import Agent

INSTRUCTIONS = """Answer the customer politely in one sentence. Copy the facts below word for word.
Where they do not answer the question, say: I do not know.
Refunds: within 30 days. Delivery: 3 to 5 working days. Payment: card or bank transfer.
Support: 9:00 to 17:00 on weekdays."""

setup_observability()  # records each call of the model with its tokens
agent = Agent("openai:gpt-5.4-mini-2026-03-17", instructions=INSTRUCTIONS)


async def task(example):
    """Return the answer to a question of the testset. Call your application here instead."""
    result = await agent.run(example.input["user_query"])
    return result.output
