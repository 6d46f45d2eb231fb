"""Parts of a LangGraph application as tasks, with the real LangGraph."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import MessagesState, add_messages
from pydantic import BaseModel

from evalwire import build_subgraph, invoke_node
from evalwire.runner import ExperimentRunner


class State(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    steps: Annotated[list[str], lambda left, right: left + right]
    question: str


class Question(TypedDict):
    question: str


@dataclass
class DataState:
    messages: Annotated[list[Any], add_messages] = field(default_factory=list)
    steps: Annotated[list[str], lambda left, right: left + right] = field(default_factory=list)


class PydanticState(BaseModel):
    messages: Annotated[list[Any], add_messages] = []
    steps: Annotated[list[str], lambda left, right: left + right] = []


def first(state):
    return {"steps": ["first"]}


async def second(state):
    return {"steps": ["second"]}


def with_config(state, config: RunnableConfig):
    return {"steps": [config["configurable"]["word"]]}


async def async_with_config(state, *, config: RunnableConfig):
    return {"steps": [config["configurable"]["word"]]}


class Third:
    def __call__(self, state):
        return {"steps": ["third"]}


# --- build_subgraph ------------------------------------------------------------------------------------


def test_nodes_run_one_after_the_other():
    graph = build_subgraph([first, second, Third()], State)
    assert asyncio.run(graph.ainvoke({}))["steps"] == ["first", "second", "third"]
    edges = {(edge.source, edge.target) for edge in graph.get_graph().edges}
    assert edges == {("__start__", "first"), ("first", "second"), ("second", "Third"), ("Third", "__end__")}


def test_plain_nodes_can_be_invoked_plainly():
    assert build_subgraph((first, Third()), State).invoke({})["steps"] == ["first", "third"]


@pytest.mark.parametrize("state", [State, DataState, PydanticState])
def test_the_state_may_be_of_any_kind(state):
    graph = build_subgraph([first, second], state)
    assert asyncio.run(graph.ainvoke({"steps": ["before"]}))["steps"] == ["before", "first", "second"]


def test_nodes_get_the_config():
    graph = build_subgraph([with_config, async_with_config], State)
    found = asyncio.run(graph.ainvoke({}, {"configurable": {"word": "given"}}))
    assert found["steps"] == ["given", "given"]


def test_no_node_is_an_index_error():
    with pytest.raises(IndexError, match="the list of nodes is empty"):
        build_subgraph([], State)


def test_each_node_has_a_name_of_its_own():
    def again():
        def first(state):
            return {"steps": ["again"]}

        return first

    def named(word, state):
        return {"steps": [word]}

    nodes = [
        first,
        again(),
        functools.partial(named, "partial"),
        functools.partial(functools.partial(named), "another"),
        lambda state: {"steps": ["lambda"]},
        lambda state: {"steps": ["another lambda"]},
        Third(),
        Third(),
        RunnableLambda(first),
        RunnableLambda(first) | RunnableLambda(lambda found: found),
        RunnableLambda(first, name="a|b:c"),
        ("first_2", second),
        first,
    ]
    graph = build_subgraph(nodes, State)
    names = [name for name in graph.nodes if name != "__start__"]
    assert names == [
        "first",
        "first_3",
        "named",
        "named_2",
        "lambda",
        "lambda_2",
        "Third",
        "Third_2",
        "first_4",
        "RunnableSequence",
        "a_b_c",
        "first_2",
        "first_5",
    ]
    said = ["first", "again", "partial", "another", "lambda", "another lambda", "third", "third", "first", "first"]
    assert asyncio.run(graph.ainvoke({}))["steps"] == [*said, "first", "second", "first"]


def test_a_name_may_be_that_of_a_field():
    graph = build_subgraph([("steps", first), ("question", Third())], State)
    assert graph.invoke({})["steps"] == ["first", "third"]


def test_two_pairs_of_one_name_are_an_error():
    with pytest.raises(ValueError, match="`a`"):
        build_subgraph([("a", first), ("a", second)], State)


def test_the_graph_has_the_name_it_is_given():
    assert build_subgraph([first], State, name="retrieval").name == "retrieval"
    assert build_subgraph([first], State).name == "LangGraph"


def test_what_goes_in_may_be_less_than_the_state():
    def ask(state):
        return {"steps": [state["question"]]}

    graph = build_subgraph([ask], State, Question)
    assert graph.invoke({"question": "why?", "steps": ["dropped"]})["steps"] == ["why?"]


def test_a_checkpointer_keeps_the_state_between_calls():
    graph = build_subgraph([first], State, checkpointer=MemorySaver())
    thread: RunnableConfig = {"configurable": {"thread_id": "one"}}
    graph.invoke({"steps": []}, thread)
    assert graph.invoke({"steps": []}, thread)["steps"] == ["first", "first"]
    assert graph.invoke({"steps": []}, {"configurable": {"thread_id": "two"}})["steps"] == ["first"]
    with pytest.raises(ValueError, match="thread_id"):
        graph.invoke({"steps": []})


# --- invoke_node ---------------------------------------------------------------------------------------


def text_of(state) -> str:
    messages = state["messages"] if isinstance(state, dict) else state.messages
    (message,) = messages
    assert isinstance(message, HumanMessage)
    return message.content


class Callable:
    def __call__(self, state, config):
        return text_of(state), config


class AsyncCallable:
    async def __call__(self, state, config):
        return text_of(state), config


async def async_node(state, config):
    return text_of(state), config


def undecorated(function):
    def call(*arguments, **keywords):
        return function(*arguments, **keywords)

    return call


NODES = {
    "async": async_node,
    "plain": lambda state, config: (text_of(state), config),
    "config by name": lambda state, *, config: (text_of(state), config),
    "config with a default": lambda state, config=None: (text_of(state), config),
    "config after others": lambda state, runtime=None, config=None: (text_of(state), config),
    "another name for it": lambda state, settings: (text_of(state), settings),
    "positional only": lambda state, config, /: (text_of(state), config),
    "a callable object": Callable(),
    "an async callable object": AsyncCallable(),
    "a method": Callable().__call__,
    "a partial": functools.partial(lambda extra, state, config: (text_of(state), config), "extra"),
    "a partial of an async one": functools.partial(async_node),
    "a partial of an async object": functools.partial(AsyncCallable()),
    "a wrapper that hides an async one": undecorated(async_node),
}


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_a_node_gets_the_query_and_the_config(node):
    config: RunnableConfig = {"configurable": {"k": 3}}
    assert asyncio.run(invoke_node(node, "why?", State, config=config)) == ("why?", config)


WITHOUT_CONFIG = {
    "plain": text_of,
    "with another default": lambda state, k=5: (text_of(state), k)[0] if k == 5 else k,
    "with keywords": lambda state, **keywords: keywords or text_of(state),
    "config is bound": functools.partial(
        lambda state, config: text_of(state) if config == "mine" else config, config="mine"
    ),
}


@pytest.mark.parametrize("node", WITHOUT_CONFIG.values(), ids=WITHOUT_CONFIG)
def test_a_node_without_a_config_does_not_get_it(node):
    assert asyncio.run(invoke_node(node, "why?", State)) == "why?"


def test_an_async_node_without_a_config_works():
    async def node(state):
        return text_of(state)

    assert asyncio.run(invoke_node(node, "why?", State)) == "why?"


def test_there_is_always_a_config():
    assert asyncio.run(invoke_node(async_node, "why?", State)) == ("why?", {"configurable": {}})


@pytest.mark.parametrize("state", [State, DataState, PydanticState, MessagesState])
def test_the_state_is_made_of_the_message(state):
    seen = asyncio.run(invoke_node(lambda state: state, "why?", state))
    assert text_of(seen) == "why?"
    assert type(seen) is type(state())


def test_the_field_of_the_messages_may_have_another_name():
    class Chat(TypedDict):
        history: list[Any]

    seen = asyncio.run(invoke_node(lambda state: state, "why?", Chat, message_field="history"))
    assert seen == {"history": [HumanMessage("why?")]}


@pytest.mark.parametrize("state", [State, DataState, PydanticState])
def test_a_graph_is_a_node_too(state):
    graph = build_subgraph([first, lambda state: {"messages": [AIMessage("because")]}], state)
    found = asyncio.run(invoke_node(graph, "why?", state))
    assert [message.content for message in found["messages"]] == ["why?", "because"]
    assert found["steps"] == ["first"]


def test_a_runnable_is_called_as_one():
    def node(state, config):
        return text_of(state), config["configurable"]["k"]

    config: RunnableConfig = {"configurable": {"k": 3}}
    assert asyncio.run(invoke_node(RunnableLambda(node), "why?", State, config=config)) == ("why?", 3)


def test_an_error_of_the_node_is_the_caller_s():
    def broken(state):
        raise KeyError("context")

    async def async_broken(state):
        raise KeyError("context")

    for node in (broken, async_broken):
        with pytest.raises(KeyError, match="context"):
            asyncio.run(invoke_node(node, "why?", State))


def test_plain_nodes_do_not_block_the_event_loop():
    """Many at once take as long as one, more than an executor has threads, and see the caller's context."""
    word = contextvars.ContextVar("word", default="none")
    met = threading.Barrier(50, timeout=20)

    def node(state):
        met.wait()  # all 50 are running at the same time, or this fails
        return word.get(), threading.current_thread() is threading.main_thread()

    async def ask(n):
        word.set(f"word {n}")
        return await invoke_node(node, "why?", State)

    async def everyone():
        return await asyncio.gather(*(ask(n) for n in range(50)))

    assert asyncio.run(everyone()) == [(f"word {n}", False) for n in range(50)]


def test_the_thread_of_a_node_ends_with_it():
    before = set(threading.enumerate())  # other tests may have left functions behind that never end
    asyncio.run(invoke_node(lambda state: None, "why?", State))
    deadline = time.monotonic() + 10
    while any(thread.name == "evalwire-plain-function" for thread in {*threading.enumerate()} - before):
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- the extra -----------------------------------------------------------------------------------------

IMPORTS = """
import sys
import evalwire.langgraph
assert not {"langgraph", "langchain_core", "pydantic"} & set(sys.modules), "imported without being used"
sys.modules["langgraph"] = sys.modules["langchain_core"] = None
"""


@pytest.mark.parametrize(
    "call",
    ["evalwire.build_subgraph([print], dict)", "asyncio.run(evalwire.invoke_node(print, 'why?', dict))"],
)
def test_without_langgraph_the_error_names_the_extra(call):
    done = subprocess.run(
        [sys.executable, "-c", f"{IMPORTS}\nimport asyncio\n{call}"], capture_output=True, text=True, timeout=60
    )
    assert "ImportError" in done.stderr
    assert "pip install 'evalwire[langgraph]'" in done.stderr


# --- in an experiment ----------------------------------------------------------------------------------

TASK = """
    from typing import Annotated, Any, TypedDict

    from langchain_core.messages import AIMessage
    from langgraph.graph import add_messages

    from evalwire import build_subgraph, invoke_node

    class State(TypedDict, total=False):
        messages: Annotated[list[Any], add_messages]
        found: str

    def retrieve(state):
        return {"found": state["messages"][-1].content.replace("question", "answer")}

    async def answer(state, config):
        return {"messages": [AIMessage(state["found"])]}

    graph = build_subgraph([retrieve, answer], State, name="retrieve and answer")

    async def task(example):
        alone = await invoke_node(retrieve, example.input["q"], State)
        whole = await invoke_node(graph, example.input["q"], State)
        assert whole["found"] == alone["found"]
        return whole["messages"][-1].content
"""
MATCH = "def match(output, expected):\n    return output == expected['expected_output']\n"


@pytest.mark.needs_phoenix
def test_an_experiment_on_a_part_of_a_graph(phoenix_project, client, make_dataset):
    phoenix_project.experiment(make_dataset(5), task=TASK, match=MATCH)
    (result,) = ExperimentRunner(phoenix_project.experiments, client, dry_run=4).run()
    assert result.passed
    assert [run.output for run in result.runs] == [f"answer {n}" for n in range(4)]
    assert [run.evaluations[0].score for run in result.runs] == [1.0] * 4
