"""Find documents for a question and answer from them with OpenAI's client. Set OPENAI_API_KEY."""

from operator import mul

from evalwire import setup_observability
from openai import AsyncOpenAI

from ._documents import DOCUMENTS

INSTRUCTIONS = """Answer the customer in one sentence.
Use only the documents, and copy their facts word for word.
Where they do not answer the question, say: I do not know."""

setup_observability()  # records each call of the model with its tokens
client = AsyncOpenAI(max_retries=0)  # evalwire retries, by the settings in evalwire.toml


async def retrieve(question, count=2):
    """Return the names of the documents nearest in meaning, best first."""
    texts = [question, *DOCUMENTS.values()]  # for more documents, keep their embeddings in an index
    response = await client.embeddings.create(model="text-embedding-3-small", input=texts)
    wanted, *vectors = (item.embedding for item in response.data)
    nearness = [sum(map(mul, wanted, vector)) for vector in vectors]
    return [name for _, name in sorted(zip(nearness, DOCUMENTS, strict=True), reverse=True)[:count]]


async def task(example):
    """Return the answer and its documents. Call your application here instead."""
    question = example.input["user_query"]
    names = await retrieve(question)
    context = "\n".join(DOCUMENTS[name] for name in names)
    response = await client.responses.create(
        model="gpt-5.4-mini-2026-03-17",
        instructions=INSTRUCTIONS,
        input=f"Documents:\n{context}\n\nQuestion: {question}",
    )
    return {"answer": response.output_text, "documents": names, "context": context}
