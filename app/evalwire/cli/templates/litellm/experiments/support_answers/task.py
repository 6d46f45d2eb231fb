"""Answer a customer with LiteLLM. Set OPENAI_API_KEY, or the key of another provider."""

import os

import litellm
from evalwire import setup_observability

INSTRUCTIONS = """Answer the customer politely in one sentence. Copy the facts below word for word.
Where they do not answer the question, say: I do not know.
Refunds: within 30 days. Delivery: 3 to 5 working days. Payment: card or bank transfer.
Support: 9:00 to 17:00 on weekdays."""

setup_observability()  # records each call of the model with its tokens and its cost
KEY = os.environ["OPENAI_API_KEY"]


async def task(example):
    """Return the answer to a question of the testset. Call your application here instead."""
    response = await litellm.acompletion(
        model="openai/gpt-5.4-mini-2026-03-17",
        api_key=KEY,
        max_retries=0,  # evalwire retries, by the settings in evalwire.toml
        messages=[
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": example.input["user_query"]},
        ],
    )
    return response.choices[0].message.content
