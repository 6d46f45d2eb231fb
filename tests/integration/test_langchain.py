"""LLM judges by models of LangChain, with the real LangChain."""

from __future__ import annotations

import asyncio
import functools
import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydantic
import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.runnables import RunnableLambda

from evalwire.evaluators import (
    make_all_pass_evaluator,
    make_any_pass_evaluator,
    make_llm_judge_evaluator,
    make_weighted_evaluator,
)
from evalwire.usercode.binding import bind_evaluator

PROMPT = "Said: {output}. Expected: {expected_output}."
EXPECTED = {"expected_output": "Paris"}


class Grade(pydantic.BaseModel):
    score: float
    reason: str = ""


class FakeChat(FakeListChatModel):
    """LangChain's fake model, with the one method that it lacks."""

    def with_structured_output(self, schema, **_):
        is_model = isinstance(schema, type) and issubclass(schema, pydantic.BaseModel)
        return self | (PydanticOutputParser(pydantic_object=schema) if is_model else JsonOutputParser())


class PlainModel:
    """A model that cannot wait: its runnable has `invoke` alone."""

    def with_structured_output(self, schema):
        return SimpleNamespace(invoke=lambda prompt: {"score": 1})


def ask(evaluator: Any, output: Any = "Paris") -> Any:
    """What a judge says, waited for if need be."""
    said = evaluator(output, EXPECTED)
    return asyncio.run(said) if inspect.isawaitable(said) else said


@pytest.mark.parametrize(
    ("schema", "key"), [(Grade, "score"), ({"title": "grade", "type": "object"}, "score"), (Grade, "reason")]
)
def test_a_langchain_model_judges(schema, key):
    """By the field of a pydantic model or of a dict, as LangChain returns either."""
    judge = make_llm_judge_evaluator(
        FakeChat(responses=['{"score": 0.5, "reason": "half"}']), PROMPT, schema, result_key=key
    )
    assert ask(judge) == {"score": 0.5, "reason": "half"}[key]


def test_a_judge_is_async_where_its_model_is():
    """So that many examples wait for the model at once."""
    judge = make_llm_judge_evaluator(FakeChat(responses=['{"score": 1}']), PROMPT, Grade)
    callee = bind_evaluator("judge", judge, path=Path())
    assert callee.is_async
    assert callee.on_loop
    assert callee.positional == ("output", "expected")
    assert judge.__name__ == "llm_judge"
    assert callee.function.__name__ == "llm_judge"
    assert asyncio.run(callee.function("Paris", EXPECTED)) == 1
    plain = make_llm_judge_evaluator(PlainModel(), PROMPT, Grade)
    assert not inspect.iscoroutinefunction(plain)
    assert plain("Paris", EXPECTED) == 1


def test_a_judge_is_a_plain_function_for_a_users_own_code():
    """As in 0.6: alone, within another evaluator, behind a decorator, and in what is made of evaluators."""
    judge = make_llm_judge_evaluator(FakeChat(responses=['{"score": 0.75}'] * 10), PROMPT, Grade)
    assert judge("Paris", EXPECTED) == 0.75

    @functools.wraps(judge)
    def doubled(output, expected):
        return 2 * judge(output, expected)

    callee = bind_evaluator("doubled", doubled, path=Path())
    assert callee.function is doubled
    assert not callee.is_async
    assert doubled("Paris", EXPECTED) == 1.5
    assert make_weighted_evaluator([(judge, 1.0)])("Paris", EXPECTED) == 0.75
    assert make_all_pass_evaluator([judge])("Paris", EXPECTED) is True
    assert make_any_pass_evaluator([make_weighted_evaluator([(judge, 1)])])("Paris", EXPECTED) is True
    for made in (make_weighted_evaluator([(judge, 1)]), make_any_pass_evaluator([make_all_pass_evaluator([judge])])):
        callee = bind_evaluator("ev", made, path=Path())
        assert callee.is_async
        assert asyncio.run(callee.function("Paris", EXPECTED)) in (0.75, True)


def test_langchains_plain_runnables_are_waited_for():
    """A runnable without a coroutine of its own runs on a thread of LangChain's."""

    class Lambda:
        def with_structured_output(self, schema):
            return RunnableLambda(lambda prompt: {"score": len(prompt)})

    assert ask(make_llm_judge_evaluator(Lambda(), "{output}", Grade), "Paris") == 5
