"""`build_subgraph` and `invoke_node`, for experiments on parts of a LangGraph application."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from evalwire.loading import load
from evalwire.usercode import Threads

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.types import Checkpointer

_P = inspect.Parameter


def build_subgraph(
    nodes: Sequence[Any],
    state_cls: type[Any],
    input_cls: type[Any] | None = None,
    *,
    name: str | None = None,
    checkpointer: Checkpointer = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Compile a graph that runs nodes in sequence: START, each node, END.

        graph = build_subgraph([rewrite, retrieve], State)

    Args:
        nodes: nodes in any form that LangGraph accepts, or pairs of a name and a node. A node has the name of its
            function by default. Repeated names get a number at the end.
        state_cls: the state: a TypedDict, a dataclass or a pydantic model.
        input_cls: the graph's input, if it is not the whole state.
        name: the name of the compiled graph.
        checkpointer: LangGraph's storage for the state between calls.

    Returns:
        The compiled graph.

    Raises:
        IndexError: `nodes` is empty.
        ImportError: langgraph is not installed.
        ValueError: two pairs have the same name, or LangGraph does not accept a name.
    """
    if not nodes:
        raise IndexError("build_subgraph: the list of nodes is empty. Pass at least 1 node.")
    try:
        graphs = load("langgraph.graph")
    except ImportError as error:
        raise _missing("build_subgraph") from error
    graph: Any = graphs.StateGraph(state_cls, input_schema=input_cls)  # the overloads do not accept nodes of type Any
    before = graphs.START
    for node_name, node in _named(nodes):
        graph.add_node(node_name, node)
        graph.add_edge(before, node_name)
        before = node_name
    graph.add_edge(before, graphs.END)
    compiled: CompiledStateGraph[Any, Any, Any, Any] = graph.compile(checkpointer=checkpointer, name=name)
    return compiled


async def invoke_node(
    node_fn: Any,
    query: str,
    state_cls: type[Any],
    *,
    message_field: str = "messages",
    config: RunnableConfig | None = None,
) -> Any:
    """Call a node with a state that contains only a user's message, and return the result.

        result = await invoke_node(retrieve, example.input["user_query"], State)

    A plain function runs on a thread, in the same context, and does not block the event loop.

    Args:
        node_fn: a function, async or not; a callable object; or a Runnable, such as a compiled graph.
        query: the text of the user's message.
        state_cls: the class of the state. Other fields must have defaults, unless it is a TypedDict.
        message_field: the field for messages.
        config: the config for the node's `config` parameter, else for a second parameter without a default. A node
            with neither parameter does not receive it.

    Returns:
        The return value of the node, awaited if necessary.

    Raises:
        ImportError: langgraph is not installed.
    """
    try:
        message = load("langchain_core.messages").HumanMessage
        runnable: type[Any] = load("langchain_core.runnables").Runnable
    except ImportError as error:
        raise _missing("invoke_node") from error
    state = state_cls(**{message_field: [message(query)]})
    settings: Any = {"configurable": {}} if config is None else config
    if isinstance(node_fn, runnable):
        return await node_fn.ainvoke(state, settings)
    call = _with_config(node_fn, state, settings)
    result = call() if _is_async(node_fn) else await _on_a_thread(call)
    return await result if isinstance(result, Awaitable) else result


def _missing(what: str) -> ImportError:
    return ImportError(
        f"{what} needs langgraph, which is not installed.\nInstall it with: pip install 'evalwire[langgraph]'"
    )


# --- names of nodes ------------------------------------------------------------------------------------


def _named(nodes: Sequence[Any]) -> list[tuple[str, Any]]:
    """Return each node with a unique name; names in pairs do not change."""
    taken = {node[0] for node in nodes if _is_pair(node)}
    named = []
    for node in nodes:
        if _is_pair(node):
            named.append((node[0], node[1]))
            continue
        name = _unused(_name_of(node), taken)
        taken.add(name)
        named.append((name, node))
    return named


def _is_pair(node: Any) -> bool:
    return isinstance(node, tuple) and len(node) == 2 and isinstance(node[0], str)  # noqa: PLR2004 - a pair


def _unused(name: str, taken: Collection[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def _name_of(node: Any) -> str:
    """Return the name of the function that a node calls, else the name of the node's class."""
    while isinstance(node, functools.partial):
        node = node.func
    runnables_name = getattr(node, "get_name", None)
    if callable(runnables_name) and not isinstance(node, type):
        name = str(runnables_name())
    else:
        name = str(getattr(node, "__name__", type(node).__name__))
    return name.strip("<>").replace("|", "_").replace(":", "_")  # "<lambda>"; LangGraph reserves "|" and ":"


# --- calls ---------------------------------------------------------------------------------------------


def _with_config(node: Callable[..., Any], state: Any, config: Any) -> Callable[[], Any]:
    """Return a call of the node with the state, and with the config if the node accepts it."""
    try:
        parameters = list(inspect.signature(node).parameters.values())
    except ValueError:  # some C callables have no signature
        return functools.partial(node, state, config)
    positional = [p for p in parameters if p.kind in (_P.POSITIONAL_ONLY, _P.POSITIONAL_OR_KEYWORD)]
    second = positional[1] if len(positional) > 1 else None
    if second is not None and (second.name == "config" or second.default is _P.empty):
        return functools.partial(node, state, config)
    by_name = next((p for p in parameters if p.name == "config"), None)
    if by_name is not None:
        is_bound = isinstance(node, functools.partial) and "config" in node.keywords
        return functools.partial(node, state) if is_bound else functools.partial(node, state, config=config)
    if any(p.kind is _P.VAR_POSITIONAL for p in parameters):  # a decorator without functools.wraps, or a mock
        return functools.partial(node, state, config)
    return functools.partial(node, state)


def _is_async(node: Any) -> bool:
    return inspect.iscoroutinefunction(node) or inspect.iscoroutinefunction(getattr(node, "__call__", None))  # noqa: B004 - the check needs the method itself


async def _on_a_thread(function: Callable[[], Any]) -> Any:
    threads = Threads()
    try:
        return await threads.run(function)
    finally:
        threads.close()
