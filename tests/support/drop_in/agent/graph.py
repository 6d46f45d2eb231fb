"""A small agent: it rewrites a question, then looks documents up."""

from typing import Annotated, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

DOCUMENTS = {
    "refund": ["refunds.md", "payments.md"],
    "invoice": ["invoices.md"],
    "password": ["accounts.md", "security.md"],
}


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    words: list[str]
    documents: list[str]


async def rewrite(state, config):
    question = state["messages"][-1].content
    return {"words": [word.strip("?.,|").lower() for word in question.split()]}


def retrieve(state):
    found = [name for word in state["words"] for stem, names in DOCUMENTS.items() if stem in word for name in names]
    return {"documents": list(dict.fromkeys(found))}


def route(text):
    return next((stem for stem in DOCUMENTS if stem in text.lower()), "other")
