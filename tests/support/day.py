"""The film of a day: a developer's commands in a project of `init --template rag`, with their times; `make day`.

Each step prints the command, the lines that the user must see, the exit code and the seconds. The script fails if a
line is missing. It needs no key and no network: the model, GitHub and the team's Phoenix are on loopback.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import tempfile
import time
from pathlib import Path

from day_stage import BRANCH, Stage, say, stage

from evalwire.phoenix.local import local_phoenix

NAME = "rental_answers"
TASK = f"experiments/{NAME}/task.py"
EVALUATOR = f"experiments/{NAME}/states_the_fact.py"
DOCUMENTS = {
    "deposit": "A deposit of 150 euros is blocked on your card until the bike is back.",
    "helmets": "Helmets are free with every rental.",
    "seats": "Child seats cost 5 euros a day.",
    "hours": "Opening hours: 8:00 a.m. to 6:00 p.m. every day.",
    "locks": "A lock with two keys comes with each bike.",
    "delivery": "Delivery to a hotel costs 10 euros.",
    "electric": "An electric bike goes 80 kilometres.",
    "insurance": "Insurance against theft is 3 euros a day.",
    "groups": "Groups of eight or more get a discount of 15%.",
    "repairs": "Repairs of punctures are free.",
    "luggage": "The shop has lockers for your luggage.",
    "trailers": "For 6 euros a day you get a dog trailer.",
    "cancel": "Up to 24 hours before the start, you can cancel a booking.",
    "late": "We charge 4 euros for every hour that a bike is returned late.",
    "keys": "It costs 20 euros per piece to replace a lost key.",
    "couples": "There are bikes for two people, so ask us for the tandem.",
    "closing": "From November to March, all shops are closed in winter.",
    "payment": "In the shop and online, we accept cards but not cash.",
}
QUESTIONS = {
    "deposit": ("How much is the deposit?", "150 euros"),
    "helmets": ("Do you have helmets?", "free"),
    "seats": ("What does a child seat cost?", "5 euros a day"),
    "hours": ("What are your opening hours?", "8:00 am to 6:00 pm"),
    "locks": ("Does a lock come with the bike?", "two keys"),
    "delivery": ("What does delivery to my hotel cost?", "10 euros"),
    "electric": ("How far does an electric bike go?", "80 kilometres"),
    "insurance": ("What does insurance cost?", "3 euros a day"),
    "groups": ("Is there a discount for groups?", "15%"),
    "repairs": ("Who pays for repairs?", "free"),
    "luggage": ("Where can I leave luggage?", "lockers"),
    "trailers": ("Can I get a trailer for my dog?", "6 euros a day"),
    "cancel": ("Until when can I cancel my booking?", "24 hours before"),
    "late": ("What if I return late?", "4 euros"),
    "keys": ("Must I pay to replace a lost key?", "20 euros"),
    "couples": ("Do you have a tandem?", "ask us"),
    "closing": ("Are you open in winter?", "closed"),
    "payment": ("Do you accept cash?", "not cash"),
}

# What the edit and its half fix embed of a document; the questions that then are answered worse.
WHOLE, SHORT, LONGER = "*DOCUMENTS.values()]", "*(text[:30] for text in DOCUMENTS.values())]", "text[:45] for"
WORSE, STILL_WORSE = 7, 4
SIZE = len(QUESTIONS)


def main() -> None:
    """Play the day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", metavar="URL", help="the Phoenix of the team (default: start one)")
    parser.add_argument("--full", action="store_true", help="print all that each command shows")
    given = parser.parse_args()
    server = given.server
    machine = f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores"
    say(f"The day of a developer on {machine} with a load of {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="day-") as directory, contextlib.ExitStack() as open_:
        if server is None:
            team = Path(directory) / "team"
            server = open_.enter_context(local_phoenix(team, os.environ)).url
        scene = open_.enter_context(stage(Path(directory).resolve(), server, is_full=given.full))
        play(scene)
        say("\nSeconds of each command")
        for line in scene.summary():
            say(line)


def play(scene: Stage) -> None:
    """Play all steps."""
    create_project(scene)
    first_runs(scene)
    worse_edit(scene)
    new_scores(scene)
    half_fix(scene)
    pull_request(scene)
    history(scene)
    scene.begin("11. The end of the day")
    scene.type("evalwire local stop", sees=["stopped the local Phoenix at http://127.0.0.1:"])


def create_project(scene: Stage) -> None:
    """Create the project, and replace its documents and questions."""
    scene.begin("1. A new project")
    scene.type(
        "evalwire init --template rag",
        sees=["wrote evalwire.toml", "wrote experiments/support_answers/task.py", "evalwire run --local"],
    )
    experiments = scene.project / "experiments"
    (experiments / "support_answers").rename(experiments / NAME)
    documents = "".join(f"    {name!r}: {text!r},\n" for name, text in DOCUMENTS.items())
    (experiments / NAME / "_documents.py").write_text(
        f'"""The pages of a bike rental."""\n\nDOCUMENTS = {{\n{documents}}}\n'
    )
    rows = (f"{question},{fact},{name},{NAME}\n" for name, (question, fact) in QUESTIONS.items())
    (scene.project / "testset.csv").write_text("user_query,expected_output,expected_document,tags\n" + "".join(rows))
    scene.edit(
        "evalwire.toml",
        ("experiments.support_answers.gates", f"experiments.{NAME}.gates"),
        ("states_the_fact = { min_pass_rate = 0.8 }", "states_the_fact = { min_pass_rate = 0.8, max_drop = 0.05 }"),
    )


def first_runs(scene: Stage) -> None:
    """Run twice: the first run starts a Phoenix, and the second run finds it."""
    scene.begin("2. The first run, which starts a local Phoenix")
    scene.type(
        "evalwire run --local",
        sees=[
            r"starting a local Phoenix: \d+ s",
            f"dataset {NAME}: created, {SIZE} examples",
            rf"PASSED \(4 gates passed\), but 1 drop gate had no baseline: 1 experiment, {SIZE} examples, none failed",
            "states_the_fact +94.4%",
            f"{NAME} +http://127.0.0.1:",
            "the local Phoenix stops after 10 min without use",
        ],
    )
    scene.git("add", "--all")
    scene.git("commit", "--quiet", "--message", "Evaluate the answers of the rental")

    scene.begin("3. The second run, which uses the same Phoenix")
    server = (scene.project / ".evalwire/server.json").read_text()
    scene.type(
        "evalwire run --local",
        sees=[
            "using the local Phoenix at http://127.0.0.1:",
            f"dataset {NAME}: unchanged, {SIZE} examples",
            rf"PASSED \(5 gates passed\): 1 experiment, {SIZE} examples, none failed",
            "1 earlier run on main, then this run",
        ],
    )
    assert json.loads((scene.project / ".evalwire/server.json").read_text())["pid"] == json.loads(server)["pid"]
    beside(scene)


def beside(scene: Stage) -> None:
    """Print the seconds of the last run beside its tasks, which no assertion can judge on a busy machine."""
    results = scene.results()
    wall, tasks = scene.played[-1][1].seconds, results["experiments"][0]["seconds"]
    say(f"    of these, {tasks:.1f} s for tasks and evaluators, and {wall - tasks:.1f} s beside them (goal: under 3 s)")
    say(f"    the run itself counted {results['seconds']:.1f} s")


def worse_edit(scene: Stage) -> None:
    """Make the retrieval worse on a branch, and find out what changed."""
    scene.begin("4. An edit on a branch that makes answers worse")
    scene.git("checkout", "--quiet", "-b", BRANCH)
    scene.edit(TASK, (WHOLE, SHORT))
    scene.type(
        "evalwire run --local",
        code=1,
        sees=[
            rf"FAILED \(3 of 5 gates failed\): 1 experiment, {SIZE} examples",
            "states_the_fact +94.4% → +55.6% +-38.9 points +7 worse, 0 better",
            rf"compared with eval_{NAME}_\S+ \(main [0-9a-f]{{8}}\): {SIZE} unchanged examples",
            f"{WORSE} examples worse",
            "states_the_fact True → False",
            "before .*",
            "now .*I do not know",
            f"{WORSE - 3} more examples",
            "states_the_fact .* 55.6%",
        ],
    )

    scene.begin("5. The comparison with main")
    scene.type(
        "evalwire compare branch:main last --local",
        sees=[
            f"{SIZE} unchanged examples",
            "finds_document +1.000 +0.611",
            "states_the_fact +94.4% +55.6% +-38.9 points",
            f"{WORSE} examples worse",
        ],
    )


def new_scores(scene: Stage) -> None:
    """Fix an evaluator, and score the recorded outputs again without calling the task."""
    scene.begin("6. The fix of an evaluator, and new scores of the same outputs")
    scene.edit(EVALUATOR, ('output["answer"]', 'output["answer"].replace("a.m.", "am").replace("p.m.", "pm")'))
    answers = scene.model.calls["answer"]
    scene.type(
        "evalwire score --local",
        code=1,
        sees=[
            "The task is not called",
            f"states_the_fact changed; scoring the {SIZE} outputs of the baseline again",
            r"FAILED \(3 of 4 gates failed; new scores of the outputs of ",
            "states_the_fact +100.0% → +61.1%",
            f"states_the_fact scored {SIZE} baseline outputs again .*94.4% to 100.0%",
        ],
    )
    assert scene.model.calls["answer"] == answers, "the task was called"
    say("    the model was asked for no answer")


def half_fix(scene: Stage) -> None:
    """Fix half of the edit, and run only the examples that failed."""
    scene.begin("7. Half a fix, and only the failing examples")
    scene.edit(TASK, ("text[:30] for", LONGER))
    answers = scene.model.calls["answer"]
    scene.type(
        "evalwire run --local --failing",
        sees=[
            rf"PARTIAL \({WORSE} of {SIZE} examples, --failing; 5 gates not applied\)",
            "states_the_fact +42.9%",
            f"{STILL_WORSE} examples did not pass",
            "finds_document 0.00 .*states_the_fact False",
            "output .*I do not know",
            f"and {STILL_WORSE - 3} more example",
        ],
    )
    assert scene.model.calls["answer"] == answers + WORSE


def pull_request(scene: Stage) -> None:
    """Evaluate main in CI, then a pull request that fails, is fixed and merged."""
    scene.begin("8. The pull request, with the workflow of `evalwire init`")
    scene.git("stash", "--quiet")
    scene.git("checkout", "--quiet", "main")
    scene.type(
        "evalwire init --ci github --server --template rag",
        sees=["kept evalwire.toml", "wrote .github/workflows/evalwire.yml", "PHOENIX_ENDPOINT", "OPENAI_API_KEY"],
    )
    scene.git("add", ".github")
    scene.git("commit", "--quiet", "--message", "Evaluate each pull request")
    scene.pipeline("main", code=0, sees=[r"PASSED \([45] gates passed\)", "https://phoenix.example/"])

    scene.git("checkout", "--quiet", BRANCH)
    scene.git("rebase", "--quiet", "main")
    scene.git("stash", "pop", "--quiet")
    scene.git("commit", "--quiet", "--all", "--message", "Embed only the beginning of a document")
    scene.pipeline(
        BRANCH,
        code=1,
        sees=[rf"FAILED \(2 of 5 gates failed\): 1 experiment, {SIZE} examples"],
        comment=["FAILED", "states_the_fact.*100.0%.*77.8%.*4 worse", f"{STILL_WORSE} examples became worse"],
    )
    scene.edit(TASK, ("*(text[:45] for text in DOCUMENTS.values())]", WHOLE))
    scene.git("commit", "--quiet", "--all", "--message", "Embed whole documents again")
    scene.pipeline(
        BRANCH,
        code=0,
        sees=[r"PASSED \(5 gates passed\)"],
        comment=["PASSED", "states_the_fact.*100.0%.*100.0%"],
    )

    scene.begin("9. The merge")
    scene.git("checkout", "--quiet", "main")
    scene.git("merge", "--quiet", "--no-ff", "--message", "Merge pull request 7", BRANCH)
    scene.pipeline("main", code=0, sees=[r"PASSED \(5 gates passed\)", r"\d+ earlier runs? on main"])


def history(scene: Stage) -> None:
    """List what the team's Phoenix and the local Phoenix recorded."""
    scene.begin("10. The history")
    scene.type(
        "evalwire runs",
        PHOENIX_ENDPOINT=scene.server,
        sees=["main", f"{BRANCH} +[0-9a-f]{{8}} +passed", f"{BRANCH} +[0-9a-f]{{8}} +gate failed", "main"],
    )
    scene.type(
        "evalwire runs --local",
        sees=[f"{BRANCH} .* partial", r"gate failed \(new scores\)", "gate failed", "main .* passed", "main .* passed"],
    )


if __name__ == "__main__":
    began = time.monotonic()
    main()
    say(f"{time.monotonic() - began:6.1f} s  in all")
