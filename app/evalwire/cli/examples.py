"""Examples for the help of each command, in the order in which a project uses the commands."""

EXAMPLES = {
    "evalwire": ("evalwire init my-evals",),
    "init": ("evalwire init my-evals", "evalwire init --ci github"),
    "new": ("evalwire new doc_search", "evalwire new answers --template openai"),
    "check": ("evalwire check", "evalwire check --offline"),
    "list": ("evalwire list --experiments my-evals/experiments",),
    "validate": ("evalwire validate --csv testset.csv",),
    "upload": ("evalwire upload --csv testset.csv --dry-run", "evalwire upload --csv testset.csv"),
    "run": ("evalwire run --local", "evalwire run doc_search --failing --watch"),
    "score": ("evalwire score", "evalwire score doc_search --experiment last~1"),
    "resume": ("evalwire resume", "evalwire resume --retry-failed"),
    "gate": (
        "evalwire gate --baseline tag:release",
        "evalwire gate --plan plan.json",
    ),
    "runs": ("evalwire runs", "evalwire runs --name doc_search --limit 30"),
    "compare": ("evalwire compare last~1 last", "evalwire compare branch:main file:test-results/results.json"),
    "label": ("evalwire label judged --limit 60", "evalwire label judged --csv sheet.csv"),
    "report": ("evalwire report --format html --output report.html",),
    "comment": ("evalwire comment", "evalwire comment --key gpt-4o"),
    "export": ("evalwire export --experiment last --output runs.csv",),
    "baseline": ("evalwire baseline pin RXhwZXJpbWVudDox --tag release",),
    "pin": ("evalwire baseline pin RXhwZXJpbWVudDox --tag release", "evalwire baseline pin last --tag release"),
    "unpin": ("evalwire baseline unpin --tag release",),
    "plan": ("evalwire plan --shards 4 --upload --output plan.json",),
    "noise": ("evalwire noise", "evalwire noise doc_search --runs 2 --output noise.html"),
    "plan-size": ("evalwire plan-size", "evalwire plan-size doc_search --local"),
    "judge": ("evalwire judge judged", "evalwire judge judged --labels labels.csv --markdown"),
    "serve": ("evalwire serve", "evalwire serve --port 6007"),
    "local": ("evalwire local status",),
    "status": ("evalwire local status",),
    "stop": ("evalwire local stop",),
}


def epilog(name: str | None) -> str | None:
    """Return the text below the help of a command; None without examples."""
    return listed(*EXAMPLES.get(name or "", ()))


def listed(*examples: str) -> str | None:
    """Return examples as the text below the help of a command; None without examples."""
    title = "Example:" if len(examples) == 1 else "Examples:"
    return "\n\n".join([title, *(f"$ {example}" for example in examples)]) if examples else None
