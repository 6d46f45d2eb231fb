from agent.graph import route


def task(input):
    return route(input["user_query"])
