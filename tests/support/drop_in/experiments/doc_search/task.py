from agent.graph import State, retrieve, rewrite

from evalwire import build_subgraph, invoke_node

graph = build_subgraph([("rewrite", rewrite), ("retrieve", retrieve)], State)


async def search(state, config):
    return await graph.ainvoke(state, config)


async def task(example):
    state = await invoke_node(search, example.input["user_query"], State)
    return state["documents"]
