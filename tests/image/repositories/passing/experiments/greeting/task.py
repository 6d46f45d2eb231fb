"""Greets everybody."""


def task(input):
    return f"Hello {input['user_query']}"
