"""Projects that `evalwire init` writes."""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

from evalwire.loading import load

Template = Literal["basic", "openai", "anthropic", "litellm", "langchain", "pydantic-ai", "rag"]
CI = Literal["github", "gitlab"]

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


def experiment_files(template: Template) -> dict[str, str]:
    """Return the files of an experiment: their names in its directory, and their paths among the templates."""
    if template == "basic":
        return {"task.py": "new/task.py", "exact_match.py": "experiments/ticket_router/exact_match.py"}
    files_of_project = project_files(template).items()
    return {name.rpartition("/")[2]: file for name, file in files_of_project if name.startswith(f"{_ANSWERS}/")}


def packages(template: Template) -> list[str]:
    """Return the packages that the experiments of a project import."""
    if template == "basic":
        return []
    lines = read_template(f"{template}/requirements.txt").splitlines()
    return [line for line in lines if not line.startswith("#")]


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
    return ["pip install -r requirements.txt", f"export {api_key_variable(template)}=..."]


def workflow(ci: CI, *, template: Template | None, has_requirements: bool, server: bool) -> str:
    """Return a workflow for a CI system.

    Args:
        ci: the CI system.
        template: the template of the project, whose model needs an API key; None for another project.
        has_requirements: whether the project has a `requirements.txt`.
        server: whether the workflow uses a Phoenix server of the user, instead of a local Phoenix and a kept baseline.
    """
    environment = load("jinja2").Environment(  # `{{` and `{%` would collide with expressions of GitHub
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
        line_statement_prefix="#%",
        keep_trailing_newline=True,
        autoescape=False,  # the text is YAML, and its values are constants
    )
    text: str = environment.from_string(read_template(f"{ci}.yml")).render(
        key=api_key_variable(template),
        package="evalwire" if server else "evalwire[local]",
        requirements=" -r requirements.txt" if has_requirements else "",
        server=server,
    )
    return text


def api_key_variable(template: Template | None) -> str:
    """Return the environment variable of the provider's API key; empty without a model."""
    if template in (None, "basic"):
        return ""
    return "ANTHROPIC_API_KEY" if template == "anthropic" else "OPENAI_API_KEY"
