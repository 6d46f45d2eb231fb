"""Answer a customer with Anthropic's client. Set ANTHROPIC_API_KEY."""

import os

from anthropic import AsyncAnthropic
from evalwire import setup_observability

INSTRUCTIONS = """Answer the customer politely in one sentence. Copy the facts below word for word.
Where they do not answer the question, say: I do not know.
Refunds: within 30 days. Delivery: 3 to 5 working days. Payment: card or bank transfer.
Support: 9:00 to 17:00 on weekdays."""

setup_observability()  # records each call of the model with its tokens
KEY = os.environ["ANTHROPIC_API_KEY"]
client = AsyncAnthropic(api_key=KEY, max_retries=0)  # evalwire retries, see evalwire.toml


async def task(example):
    """Return the answer to a question of the testset. Call your application here instead."""
    message = await client.messages.create(
        model="claude-haiku-4-5-20251001",
        max_tokens=200,
        system=INSTRUCTIONS,
        messages=[{"role": "user", "content": example.input["user_query"]}],
    )
    return message.content[0].text
