"""The list of messages is complete: it has each text that the program can show to a user."""

from __future__ import annotations

from messages import LIST, Message, all_messages, listed, messages_of


def test_the_list_has_the_messages_of_the_program():
    assert LIST.read_text() == listed(all_messages()), "run `make messages`, and read the difference"


def test_a_message_has_readable_placeholders():
    source = '''
"""This is a docstring with words."""
HINT = "Try it again."

def f(names, path, error, count, log, console):
    """Raise what is raised."""
    log.warning("cannot read %s (%s)", path.name, error)
    console.say(f"{len(names)} {'file' if count == 1 else 'files'} in {', '.join(names)}: all of {names[0]!r}")
    text = f"the values of {error.strerror or error} are unknown"
    option(str, "Read this file first.", help="Also read this file.")
    raise UsageError(f"Cannot read {path}: {error.strerror}. {HINT}\\n" + "Or write to it.")
'''
    assert [(message.kind, message.text) for message in messages_of(source)] == [
        ("log", "cannot read {name} ({error})"),
        ("note", "{names} {file|files} in {names}: all of {names}"),
        ("text", "the values of {strerror} are unknown"),
        ("UsageError", "Cannot read {path}: {strerror}. Try it again.\nOr write to it."),
    ]


def test_the_list_has_a_heading_for_each_module():
    found = [Message("a.py", "note", "two words"), Message("a.py", "text", "three\nmore"), Message("b.py", "log", "x")]
    assert listed(found).partition("\n\n")[2] == "## a.py\nnote: two words\ntext: three\n    more\n\n## b.py\nlog: x\n"
