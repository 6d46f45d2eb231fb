"""`setup_observability`: where traces go, what makes them, and what a second call does; each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from nightly import mostly_nightly

from conftest import quiet_environment

INSTRUMENTORS = '''
class Instrumentor:
    """As OpenTelemetry's: one object for each class, which instruments once."""

    made = None
    is_instrumented_by_opentelemetry = False

    def __new__(cls):
        cls.made = cls.made or super().__new__(cls)
        return cls.made

    def __init__(self):
        self.__dict__.setdefault("given", [])

    def instrument(self, **given):
        self.given.append(given)
        self.is_instrumented_by_opentelemetry = True


class Other(Instrumentor):
    pass
'''
EXPORTER = """
def exporter(provider):
    (processor,) = provider._active_span_processor._span_processors
    return processor.span_exporter
"""


# A process that has imported what takes seconds, and is copied for each script.
WARM = """
import gc, json, os, sys
from evalwire.phoenix.connection import _skip_server_imports
_skip_server_imports()
import anthropic, httpcore, langchain_core.tracers, phoenix.client, phoenix.otel, requests
import openinference.instrumentation.anthropic, openinference.instrumentation.langchain, openinference.instrumentation.openai
import evalwire.observability, evalwire.settings
gc.freeze()  # the end of a copy takes a second less

for line in sys.stdin:
    code, folder, environ, out, err = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        for number, file in ((0, os.devnull), (1, out), (2, err)):
            os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
        exec(code, {"__name__": "__main__"})
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Run(Protocol):
    def __call__(self, script: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Iterator[Run]:
    """Runs a script in a process of its own, where nothing is set up yet."""
    folder = tmp_path_factory.mktemp("scripts")
    with subprocess.Popen(
        [sys.executable, "-c", WARM], env=quiet_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as warm:

        def run(script: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
            code = "from evalwire import setup_observability\n" + INSTRUMENTORS + EXPORTER + textwrap.dedent(script)
            out, err = (folder / f"{uuid.uuid4().hex}.{name}" for name in ("out", "err"))
            order = [code, str(cwd or folder), quiet_environment(**environ), str(out), str(err)]
            warm.stdin.write(json.dumps(order) + "\n")
            warm.stdin.flush()
            returncode = int(warm.stdout.readline())
            return subprocess.CompletedProcess(script, returncode, out.read_text(), err.read_text())

        yield run


@pytest.fixture
def said(run) -> Callable[..., list[str]]:
    """The lines that a script prints; what it prints is all that is printed."""

    def said(script: str, cwd: Path | None = None, **environ: str) -> list[str]:
        done = run(script, cwd, **environ)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return said


# --- where traces go -----------------------------------------------------------------------------------

REGISTERED = """
    import json, os
    from evalwire import observability
    before = dict(os.environ)
    for environ in json.loads(os.environ["EVALWIRE_TEST_ENVIRONMENTS"]):
        os.environ.clear()
        os.environ.update(before, **environ)
        found = exporter(observability._register(auto_instrument=False))
        headers = dict(found._headers) if type(found).__name__ == "GRPCSpanExporter" else found._client._headers
        print(json.dumps([type(found).__name__, found._endpoint, {name.lower(): headers[name] for name in headers}]))
"""


@pytest.fixture
def registered(said) -> Callable[..., list[list[Any]]]:
    """The kind of exporter, its endpoint and its headers in each of these environments; one process for all."""

    def registered(environs, cwd=None) -> list[list[Any]]:
        return [json.loads(line) for line in said(REGISTERED, cwd, EVALWIRE_TEST_ENVIRONMENTS=json.dumps(environs))]

    return registered


def test_traces_go_where_the_client_s_records_go(registered):
    """By the client's rules, and over HTTP, unless the address is gRPC's."""
    collector = "PHOENIX_COLLECTOR_ENDPOINT"
    expected = [
        ({}, "http://127.0.0.1:6006/v1/traces"),
        ({"PHOENIX_ENDPOINT": "http://phoenix:7007"}, "http://phoenix:7007/v1/traces"),
        ({"PHOENIX_ENDPOINT": "https://team.example/phoenix/"}, "https://team.example/phoenix/v1/traces"),
        ({"PHOENIX_ENDPOINT": "https://us%40er:pass@team.example"}, "https://us%40er:pass@team.example/v1/traces"),
        ({"PHOENIX_ENDPOINT": "http://phoenix:7007", collector: "http://other"}, "http://phoenix:7007/v1/traces"),
        ({collector: "http://phoenix:7007"}, "http://phoenix:7007/v1/traces"),
        ({collector: "http://phoenix:7007/v1/traces"}, "http://phoenix:7007/v1/traces"),
        ({"PHOENIX_BASE_URL": "http://phoenix:7007"}, "http://phoenix:7007/v1/traces"),
        ({"PHOENIX_HOST": "phoenix", "PHOENIX_PORT": "7007"}, "http://phoenix:7007/v1/traces"),
        ({collector: "http://phoenix:4317"}, "phoenix:4317"),
        ({collector: "http://phoenix:9999", "PHOENIX_GRPC_PORT": "9999"}, "phoenix:9999"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://phoenix:4317"}, "phoenix:4317"),
    ]
    found = registered([environ for environ, _ in expected])
    assert [endpoint for _, endpoint, _ in found] == [endpoint for _, endpoint in expected]
    assert [kind for kind, *_ in found] == ["HTTPSpanExporter"] * 9 + ["GRPCSpanExporter"] * 3


def test_the_credentials_are_the_client_s(registered, tmp_path):
    (tmp_path / "key").write_text("key-2\n")
    expected: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"PHOENIX_API_KEY": "key-1"}, {"authorization": "Bearer key-1"}),
        ({"PHOENIX_API_KEY_FILE": "key"}, {"authorization": "Bearer key-2"}),
        (
            {"PHOENIX_API_KEY_FILE": "key", "PHOENIX_CLIENT_HEADERS": "x-team=search"},
            {"authorization": "Bearer key-2", "x-team": "search"},
        ),
        ({"PHOENIX_CLIENT_HEADERS": "authorization=Basic%20abc"}, {"authorization": "Basic abc"}),
        ({"PHOENIX_API_KEY": "a", "PHOENIX_COLLECTOR_ENDPOINT": "http://x:4317"}, {"authorization": "Bearer a"}),
        ({}, {}),
    ]
    of_its_own = {"user-agent", "content-type", "content-encoding"}
    found = registered([environ for environ, _ in expected], tmp_path)
    shown = [{name: one[name] for name in one if name not in of_its_own} for *_, one in found]
    assert shown == [headers for _, headers in expected]


def test_an_address_that_is_none_is_told_as_such(run):
    done = run("setup_observability()", PHOENIX_ENDPOINT="localhost:6006")
    assert "PHOENIX_ENDPOINT is not an http:// or https:// address" in done.stderr


def test_a_key_and_a_key_file_are_an_error(run):
    done = run("setup_observability()", PHOENIX_API_KEY="a", PHOENIX_API_KEY_FILE="b")
    assert "PHOENIX_API_KEY and PHOENIX_API_KEY_FILE are both set" in done.stderr


@pytest.mark.needs_phoenix
def test_spans_arrive_in_the_project_of_the_environment(said, phoenix_url, spans_of):
    project = f"observed-{uuid.uuid4().hex[:8]}"
    script = """
        from opentelemetry import trace
        provider = setup_observability(auto_instrument=False)
        with trace.get_tracer("mine").start_as_current_span("by the global one"):
            pass
        with provider.get_tracer("mine").start_as_current_span("by the returned one"):
            pass
    """
    assert said(script, PHOENIX_ENDPOINT=phoenix_url, PHOENIX_PROJECT_NAME=project) == []
    assert {span["name"] for span in spans_of(project, at_least=2)} == {"by the global one", "by the returned one"}


# --- what makes them -----------------------------------------------------------------------------------


def test_instrumentors_are_given_the_provider(said):
    """Objects and classes, any number of them, from any iterable."""
    script = """
        from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
        from openinference.instrumentation.openai import OpenAIInstrumentor
        provider = setup_observability((one for one in (Instrumentor(), Other)), auto_instrument=False)
        print(Instrumentor().given == [{"tracer_provider": provider}], Other().given == Instrumentor().given)
        print(OpenAIInstrumentor().is_instrumented_by_opentelemetry)
    """
    assert said(script) == ["True True", "False"]


def test_installed_instrumentors_are_used_by_themselves(run):
    """With the one of `openai`, which comes with Phoenix; naming it as well does no harm."""
    script = """
        from openinference.instrumentation.openai import OpenAIInstrumentor
        setup_observability([Instrumentor])
        print(OpenAIInstrumentor().is_instrumented_by_opentelemetry, len(Instrumentor().given))
        setup_observability([OpenAIInstrumentor()])
    """
    done = run(script)
    assert (done.stdout, done.stderr) == ("True 1\n", "")


def test_what_is_no_instrumentor_is_an_error_before_anything_is_registered(said):
    script = """
        from opentelemetry import trace
        for wrong in ("openai", object(), str):
            try:
                setup_observability([Instrumentor(), wrong])
            except ValueError as error:
                print("is not an instrumentor: it has no `instrument`" in str(error))
        print(type(trace.get_tracer_provider()).__name__, Instrumentor().given)
    """
    assert said(script) == ["True", "True", "True", "ProxyTracerProvider []"]


# --- called again --------------------------------------------------------------------------------------


def test_a_second_call_keeps_the_provider_and_adds_what_is_new(run):
    script = """
        from openinference.instrumentation.openai import OpenAIInstrumentor
        first = setup_observability([Instrumentor()], auto_instrument=False)
        before = OpenAIInstrumentor().is_instrumented_by_opentelemetry
        second = setup_observability([Instrumentor(), Other()])
        print(first is second, len(Instrumentor().given), Other().given == [{"tracer_provider": first}])
        print(before, OpenAIInstrumentor().is_instrumented_by_opentelemetry)
    """
    done = run(script)
    assert (done.stdout, done.stderr) == ("True 1 True\nFalse True\n", "")


def test_many_threads_at_once_get_one_provider(run):
    """As plain tasks would, that set it up in their first line."""
    script = """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        together = threading.Barrier(8)

        def task(_):
            together.wait()
            return setup_observability([Instrumentor()], auto_instrument=False)

        with ThreadPoolExecutor(8) as pool:
            providers = set(pool.map(task, range(8)))
        print(len(providers), len(Instrumentor().given))
    """
    done = run(script)
    assert (done.stdout, done.stderr) == ("1 1\n", "")


def test_the_users_own_registration_is_kept(run):
    script = """
        from phoenix.otel import register
        own = register(project_name="own", verbose=False)
        print(setup_observability([Instrumentor()], auto_instrument=False) is own, Instrumentor().given == [{"tracer_provider": own}])
    """
    done = run(script)
    assert (done.stdout, done.stderr) == ("True True\n", "")


def test_beside_another_provider_there_is_one_of_phoenix(said):
    """OpenTelemetry keeps the first; ours is still one, and is given to the instrumentors."""
    script = """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        own = TracerProvider()
        trace.set_tracer_provider(own)
        first, second = (setup_observability([Instrumentor()], auto_instrument=False) for _ in range(2))
        print(first is second, first is not own, Instrumentor().given == [{"tracer_provider": first}])
        print(trace.get_tracer_provider() is own)
    """
    assert said(script) == ["True True True", "True"]


# --- while evalwire traces -----------------------------------------------------------------------------

TASK = """
    from openinference.instrumentation.openai import OpenAIInstrumentor
    from evalwire import setup_observability

    class Instrumentor:
        def instrument(self, *, tracer_provider):
            self.tracer = tracer_provider.get_tracer("library")

    library = Instrumentor()

    async def task(example):
        setup_observability([library])
        with library.tracer.start_as_current_span("model call") as span:
            span.set_attribute("openinference.span.kind", "LLM")
            span.set_attribute("llm.token_count.prompt", 7)
        return OpenAIInstrumentor().is_instrumented_by_opentelemetry
"""


@pytest.mark.needs_phoenix
@pytest.mark.parametrize("place", mostly_nightly(["in the task", "at import"]))
def test_what_a_task_does_stays_in_its_experiments_project(phoenix_project, client, make_dataset, spans_of, place):
    """Each of two experiments sets it up; every span is under its run, once, and nowhere else."""
    elsewhere = f"elsewhere-{uuid.uuid4().hex[:8]}"
    task = textwrap.dedent(TASK)
    if place == "at import":
        task = task.replace("    setup_observability([library])\n", "").replace(
            "library = Instrumentor()\n", "library = Instrumentor()\nsetup_observability([library])\n"
        )
    names = [make_dataset(3), make_dataset(3)]
    for name in names:
        phoenix_project.experiment(name, task=task)
    done = phoenix_project.run_process("run", PHOENIX_PROJECT_NAME=elsewhere)
    assert done.returncode == 0, done.stdout
    results = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    for result in results["experiments"]:
        experiment = client.experiments.get_experiment(experiment_id=result["experiment_id"])
        spans = spans_of(experiment["project_name"], at_least=6)
        assert sorted(span["span_kind"] for span in spans) == ["CHAIN"] * 3 + ["LLM"] * 3
        roots = {span["context"]["span_id"]: span for span in spans if span["span_kind"] == "CHAIN"}
        for span in spans:
            if span["span_kind"] == "LLM":
                assert span["context"]["trace_id"] == roots[span["parent_id"]]["context"]["trace_id"]
    assert elsewhere not in {project["name"] for project in client.projects.list()}


# --- the extra -----------------------------------------------------------------------------------------


def test_without_phoenix_otel_the_error_names_the_extra(run):
    done = run("import sys\nsys.modules['phoenix.otel'] = None\nsetup_observability()")
    assert "ImportError" in done.stderr
    assert "pip install 'evalwire[otel]'" in done.stderr


def test_it_is_imported_when_it_is_called():
    script = (
        "import sys\nfrom evalwire import setup_observability\nimport evalwire.observability\n"
        "print({'phoenix', 'phoenix.otel', 'phoenix.client', 'grpc'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], env=quiet_environment(), capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")
