"""Projects that `evalwire init` writes."""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

Template = Literal["basic", "openai", "anthropic", "litellm", "langchain", "pydantic-ai", "rag"]

_BASIC = (
    "evalwire.toml",
    "testset.csv",
    "experiments/ticket_router/task.py",
    "experiments/ticket_router/exact_match.py",
    "experiments/ticket_router/known_team.py",
)
_ANSWERS = "experiments/support_answers"
_OF_EACH_MODEL = ("evalwire.toml", "requirements.txt", f"{_ANSWERS}/task.py")
_SHARED = ("testset.csv", f"{_ANSWERS}/states_the_fact.py")
_RAG = ("testset.csv", *(f"{_ANSWERS}/{name}.py" for name in ("_documents", "finds_document", "states_the_fact")))


def project_files(template: Template) -> dict[str, str]:
    """Return the files of a project: their paths in it, and their paths among the templates."""
    if template == "basic":
        return {name: name for name in _BASIC}
    if template == "rag":
        return {name: f"rag/{name}" for name in (*_OF_EACH_MODEL, *_RAG, f"{_ANSWERS}/grounded.py")}
    own = (*_OF_EACH_MODEL, f"{_ANSWERS}/helpful.py")
    return {name: f"{template}/{name}" for name in own} | {name: f"models/{name}" for name in _SHARED}


def gitignore_file(template: Template) -> str:
    """Return the path of a project's `.gitignore` among the templates."""
    return "gitignore" if template == "basic" else "models/gitignore"


def read_template(path: str) -> str:
    """Return the text of a template."""
    return files("evalwire.cli").joinpath("templates", path).read_text(encoding="utf-8")


def set_up_commands(template: Template) -> list[str]:
    """Return the commands that a project needs before its first run."""
    if template == "basic":
        return []
    return ["pip install -r requirements.txt", f"export {_key(template)}=..."]


def workflow(path: str, template: Template) -> str:
    """Return a workflow that installs the packages of the project, and has the API key of its model."""
    if template == "basic":
        return read_template(path)
    lines = []
    for line in read_template(path).splitlines(keepends=True):
        if line.lstrip(" -").startswith(("pip install", "run: pip install")):
            lines.append(f"{line.rstrip()} -r requirements.txt\n")
            continue
        lines.append(line)
        if line.strip() == "- run: evalwire run --local":  # GitLab's jobs have the variables of the project
            indent = line.partition("-")[0] + "  "
            lines += [f"{indent}env:\n", f"{indent}  {_key(template)}: ${{{{ secrets.{_key(template)} }}}}\n"]
    return "".join(lines)


def _key(template: Template) -> str:
    """Return the environment variable of the provider's API key."""
    return "ANTHROPIC_API_KEY" if template == "anthropic" else "OPENAI_API_KEY"
