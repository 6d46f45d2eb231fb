"""The page on real models shows the projects that `evalwire init --template` writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from evalwire.cli.project_templates import Template, project_files, read_template

SHORT = 'INSTRUCTIONS = "..."  # as in the task for OpenAI\n'  # the page has these instructions once
PAGE = (Path(__file__).parents[2] / "docs/real-models.md").read_text()
TASK = read_template(project_files("openai")["experiments/support_answers/task.py"])
BLOCKS = re.findall(r'^```python title="([^\n]+), ([^\n]+)"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("name", "template", "text"), BLOCKS, ids=[f"{one[1]}-{Path(one[0]).stem}" for one in BLOCKS])
def test_the_code_of_the_page_is_the_templates(name, template, text):
    instructions = re.search(r'^INSTRUCTIONS = """.*?"""\n', TASK, re.MULTILINE | re.DOTALL)
    assert text.replace(SHORT, instructions[0]) == read_template(project_files(template)[name])


def test_the_page_has_a_task_of_both_forms_of_client_a_judge_and_each_template():
    shown = {(template, Path(name).name) for name, template, _ in BLOCKS}
    assert shown == {("openai", "task.py"), ("anthropic", "task.py"), ("openai", "helpful.py")}
    assert all(f"| `{template}` |" in PAGE for template in set(get_args(Template)) - {"basic"})
