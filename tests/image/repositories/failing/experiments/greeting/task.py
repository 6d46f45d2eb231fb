"""Greets everybody but Grace."""


def task(input):
    if input["user_query"] == "Grace":
        raise LookupError("nobody of that name")
    return f"Hello {input['user_query']}"
