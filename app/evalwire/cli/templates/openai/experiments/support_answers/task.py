"""Answer a customer with OpenAI's client. Set OPENAI_API_KEY."""

from evalwire import setup_observability
from openai import AsyncOpenAI

INSTRUCTIONS = """Answer the customer politely in one sentence. Copy the facts below word for word.
Where they do not answer the question, say: I do not know.
Refunds: within 30 days. Delivery: 3 to 5 working days. Payment: card or bank transfer.
Support: 9:00 to 17:00 on weekdays."""

setup_observability()  # records each call of the model with its tokens
client = AsyncOpenAI(max_retries=0)  # evalwire retries, by the settings in evalwire.toml


async def task(example):
    """Return the answer to a question of the testset. Call your application here instead."""
    response = await client.responses.create(
        model="gpt-5.4-mini-2026-03-17",
        instructions=INSTRUCTIONS,
        input=example.input["user_query"],
    )
    return response.output_text
