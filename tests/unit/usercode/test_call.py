"""How the user's functions are bound to values and called."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import operator
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from evalwire.model.example import Example
from evalwire.model.experiment import Callee
from evalwire.usercode import values
from evalwire.usercode.binding import (
    EVALUATOR_NAMES,
    TASK_NAMES,
    BindingError,
    bind_evaluator,
    bind_task,
    misnamed_parameter,
)
from evalwire.usercode.call import Call
from evalwire.usercode.scores import parse_scores
from evalwire.usercode.threads import Threads
from evalwire.usercode.time_limit import Clock
from evalwire.usercode.values import evaluator_values, task_values

PATH = Path("/project/experiments/set/task.py")
EXAMPLE = Example(id="e1", node_id="n1", input={"q": "ask"}, output={"expected_output": "answer"}, metadata={"m": 1})
OUTPUT = {"said": "answer"}


class Untraced:
    trace_id = None
    usage = None

    def __init__(self) -> None:
        self.context = contextvars.copy_context()

    def finish(self, **_: Any) -> None:
        pass


async def call(callee: Callee, values: Mapping[str, Any], threads: Threads, *, limit_seconds: float = 20.0) -> Any:
    """What the function returns, or raises, when it is called as the engine calls it."""
    made = Call(callee, clock=Clock(limit_seconds), root=PATH, stage="task", convert=lambda returned: returned)
    made.start(Untraced(), values, threads)
    await made.over()
    if made.error is not None:
        raise made.error
    return made.value


def run(callee: Callee, values: Mapping[str, Any]) -> Any:
    return asyncio.run(call(callee, values, Threads()))


def run_task(task: Any) -> Any:
    return run(bind_task(task, path=PATH), task_values(EXAMPLE))


def run_evaluator(evaluator: Any) -> Any:
    return run(bind_evaluator("ev", evaluator, path=PATH), evaluator_values(EXAMPLE, OUTPUT, "trace-1"))


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator without functools.wraps."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain decorator with functools.wraps."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def wrapped_async(function: Callable[..., Any]) -> Callable[..., Any]:
    """An async decorator with functools.wraps."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


# --- binding of tasks ----------------------------------------------------------------------------------


async def _async_example(example):
    return example


async def _async_input(input):
    return input


async def _async_row(row):
    return row


async def _async_expected(expected):
    return expected


async def _async_keyword_only(*, anything):
    return anything


async def _async_positional_only(anything, /):
    return anything


async def _async_with_default(anything, model="small"):
    assert model == "small"
    return anything


class AsyncCallable:
    async def __call__(self, anything):
        return anything


class PlainCallable:
    def __call__(self, anything):
        return anything


@pytest.mark.parametrize(
    "task",
    [
        _async_example,
        _async_input,
        _async_row,
        _async_expected,
        _async_keyword_only,
        _async_positional_only,
        _async_with_default,
        AsyncCallable(),
        AsyncCallable().__call__,
        wrapped(_async_row),
        wrapped_async(_async_row),
        wrapped(wrapped_async(_async_row)),
        functools.partial(_async_with_default, model="small"),
        functools.partial(wrapped(_async_row)),
    ],
)
def test_async_task_of_one_parameter_gets_the_example(task):
    """An async task receives the example, whatever its parameter is called and however it was decorated."""
    got = run_task(task)
    assert isinstance(got, Example)
    assert got == EXAMPLE


def test_async_task_of_several_parameters_is_bound_by_name():
    """An async task with several known names receives each value under its name."""

    async def task(metadata, input, expected, reference, example):
        return metadata, input, expected, reference, example.id

    answer = {"expected_output": "answer"}
    assert run_task(task) == ({"m": 1}, {"q": "ask"}, answer, answer, "e1")


def test_async_task_with_one_required_unknown_name_gets_the_example_and_the_rest_by_name():
    """Optional parameters with a known name do not change what an async task's own parameter receives."""

    async def task(row, metadata=None):
        return row, metadata

    assert run_task(task) == (EXAMPLE, {"m": 1})


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (lambda input: input, {"q": "ask"}),  # noqa: A006
        (lambda expected: expected, {"expected_output": "answer"}),
        (lambda reference: reference, {"expected_output": "answer"}),
        (lambda metadata: metadata, {"m": 1}),
        (lambda example: example, EXAMPLE),
        (lambda question: question, {"q": "ask"}),
        (lambda *, question: question, {"q": "ask"}),
        (lambda question, /: question, {"q": "ask"}),
        (lambda question, k=3: (question, k), ({"q": "ask"}, 3)),
        (lambda question=None: question, {"q": "ask"}),
        (lambda input, metadata: (metadata, input), ({"m": 1}, {"q": "ask"})),  # noqa: A006
        (lambda input, metadata, /: (metadata, input), ({"m": 1}, {"q": "ask"})),  # noqa: A006
        (lambda input, /, *, metadata: (metadata, input), ({"m": 1}, {"q": "ask"})),  # noqa: A006
        (lambda question, *args: (question, args), ({"q": "ask"}, ())),
        (lambda question, **kwargs: (question, kwargs), ({"q": "ask"}, {})),
        (unwrapped(lambda question: question), {"q": "ask"}),
        (wrapped(lambda metadata: metadata), {"m": 1}),
        (PlainCallable(), {"q": "ask"}),
        (functools.partial(lambda k, question: (k, question), 5), (5, {"q": "ask"})),
        (functools.partial(lambda question, k: (k, question), k=5), (5, {"q": "ask"})),
        (functools.partial(lambda k, question: (k, question), k=5), (5, {"q": "ask"})),
        (operator.itemgetter("q"), "ask"),
        (len, 1),
        (dict, {"q": "ask"}),
    ],
)
def test_plain_task_is_bound_by_name(task, expected):
    """A plain task receives what its parameters name; a single parameter of another name gets the input."""
    assert run_task(task) == expected


def test_a_task_of_keywords_only_gets_every_value():
    """`**kwargs` alone receives everything a task can be given, under its name."""
    got = run_task(lambda **values: values)
    assert tuple(got) == TASK_NAMES


# --- binding of evaluators -----------------------------------------------------------------------------


class SingleMethod:
    def score(self, output):
        return output


class ClassEvaluator:
    """A class whose construction is the evaluation."""

    def __new__(cls, output):
        return output


@pytest.mark.parametrize(
    ("evaluator", "expected"),
    [
        (lambda output: output, OUTPUT),
        (lambda input: input, {"q": "ask"}),  # noqa: A006
        (lambda expected: expected, {"expected_output": "answer"}),
        (lambda reference: reference, {"expected_output": "answer"}),
        (lambda metadata: metadata, {"m": 1}),
        (lambda example: example.id, "e1"),
        (lambda trace_id: trace_id, "trace-1"),
        (lambda answer: answer, OUTPUT),
        (lambda answer, k=20: (answer, k), (OUTPUT, 20)),
        (lambda answer, expected=None: (answer, expected), (OUTPUT, {"expected_output": "answer"})),
        (lambda answer, expected=None, /: (answer, expected), (OUTPUT, {"expected_output": "answer"})),
        (lambda k=20, output=None: (output, k), (OUTPUT, 20)),
        (lambda *, expected, output: (output, expected), (OUTPUT, {"expected_output": "answer"})),
        (lambda expected, output: (output, expected), (OUTPUT, {"expected_output": "answer"})),
        (lambda output, expected, /: (output, expected), (OUTPUT, {"expected_output": "answer"})),
        (lambda output, expected, threshold=0.5: (output, threshold), (OUTPUT, 0.5)),
        (unwrapped(lambda output: output), OUTPUT),
        (wrapped(lambda expected, output: (output, expected)), (OUTPUT, {"expected_output": "answer"})),
        (PlainCallable(), OUTPUT),
        (SingleMethod().score, OUTPUT),
        (ClassEvaluator, OUTPUT),
        (functools.partial(lambda output, k: (output, k), k=5), (OUTPUT, 5)),
        (functools.partial(lambda output, expected: (output, expected), expected=5), (OUTPUT, 5)),
        (AsyncCallable(), OUTPUT),
        (_async_row, OUTPUT),
        (wrapped(_async_row), OUTPUT),
        (wrapped_async(_async_expected), {"expected_output": "answer"}),
    ],
)
def test_evaluator_is_bound_by_name(evaluator, expected):
    """An evaluator, async or plain, receives what it names; a single parameter of another name gets the output."""
    assert run_evaluator(evaluator) == expected


def test_async_evaluator_of_several_parameters_is_bound_by_name():
    """Async evaluators are bound by the same names as plain ones."""

    async def judge(expected, output, trace_id):
        return expected, output, trace_id

    assert run_evaluator(judge) == ({"expected_output": "answer"}, OUTPUT, "trace-1")


def test_an_evaluator_of_keywords_only_gets_every_value():
    """`**kwargs` alone receives everything an evaluator can be given, under its name."""
    got = run_evaluator(lambda **values: values)
    assert set(got) == set(EVALUATOR_NAMES)


@pytest.mark.parametrize(
    ("function", "unknown"),
    [
        (lambda answer, truth: None, ["`answer`", "`truth`"]),
        (lambda output, truth: None, ["`truth`"]),
        (lambda output, expected, truth, gold: None, ["`truth`", "`gold`"]),
        (lambda *, answer, truth: None, ["`answer`", "`truth`"]),
        (functools.partial(lambda k, answer, truth: None, 5), ["`answer`", "`truth`"]),
    ],
)
def test_several_unknown_names_are_refused_and_listed(function, unknown):
    """Parameters that nothing can be bound to are named before anything runs, beside the names there are."""
    with pytest.raises(BindingError) as caught:
        bind_evaluator("ev", function, path=PATH)
    message = str(caught.value)
    assert [word for word in unknown if word not in message] == []
    assert ", ".join(EVALUATOR_NAMES) in message


def test_an_async_task_with_several_unknown_names_is_refused():
    """Async tasks are checked before anything runs, too."""

    async def task(row, settings):
        return row, settings

    with pytest.raises(BindingError, match="`row`, `settings`"):
        bind_task(task, path=PATH)


def test_a_task_cannot_ask_for_the_output():
    """`output` is no value of a task's: it exists only after the task."""
    with pytest.raises(BindingError, match="`output`"):
        bind_task(lambda input, output: None, path=PATH)  # noqa: A006


@pytest.mark.parametrize("bind", [bind_task, functools.partial(bind_evaluator, "ev")])
@pytest.mark.parametrize("thing", [lambda: 1, 0.5, "text", None])
def test_what_cannot_be_called_with_a_value_is_refused(bind, thing):
    """A function without parameters, and what is no function, are refused before anything runs."""
    with pytest.raises(BindingError):
        bind(thing, path=PATH)


class Quality:
    def __init__(self, threshold):
        self.threshold = threshold

    def __call__(self, output, expected):
        return True


class Judging:
    def evaluate(self, output):
        return 1.0


class Later:
    async def __call__(self, output):
        return 1.0


class Inherits(Quality):
    pass


class Nothing:
    pass


@pytest.mark.parametrize("bind", [bind_task, functools.partial(bind_evaluator, "ev")])
@pytest.mark.parametrize("thing", [Quality, Judging, Later, Inherits, Nothing])
def test_a_class_in_place_of_an_instance_is_refused(bind, thing):
    name = "task" if bind is bind_task else "ev"
    how = "that takes no arguments" if thing is Nothing else f"define an instance: {name} = {thing.__name__}"
    with pytest.raises(BindingError, match=f"`{name}` is a class.*{how}"):
        bind(thing, path=PATH)


def test_classes_of_python_are_functions():
    assert run_evaluator(bool) is True


# --- what is beside named parameters, and behind decorators ---------------------------------------------


def rest_of(kwargs: Mapping[str, Any]) -> str:
    return " ".join(sorted(kwargs))


async def _async_output_and_rest(output, **rest):
    return rest_of(rest)


class RestMethod:
    def __call__(self, output, **rest):
        return rest_of(rest)


OTHERS = "example expected input metadata reference trace_id"


@pytest.mark.parametrize(
    ("evaluator", "expected"),
    [
        (lambda output, **rest: rest_of(rest), OTHERS),
        (lambda answer, **rest: rest_of(rest), OTHERS),
        (lambda output, expected, **rest: rest_of(rest), "example input metadata reference trace_id"),
        (lambda output, /, **rest: rest_of(rest), OTHERS),
        (lambda output, *more, **rest: (more, rest_of(rest)), ((), OTHERS)),
        (lambda output, *, metadata, **rest: rest_of(rest), "example expected input reference trace_id"),
        (lambda output, k=3, **rest: (k, rest_of(rest)), (3, OTHERS)),
        (functools.partial(lambda output, **rest: rest_of(rest), expected=1), OTHERS),
        (_async_output_and_rest, OTHERS),
        (RestMethod(), OTHERS),
        (wrapped(lambda output, **rest: rest_of(rest)), OTHERS),
        (unwrapped(lambda output, **rest: rest_of(rest)), OTHERS),
    ],
)
def test_keywords_beside_named_parameters_get_the_rest(evaluator, expected):
    assert run_evaluator(evaluator) == expected


def test_keywords_of_a_task_are_its_own():
    """Such as options that it hands to its client."""

    def task(input, **options):
        return input, options

    assert run_task(task) == (EXAMPLE.input, {})


class Memo:
    """A decorator that is a class."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


def configured(level):
    def decorate(function):
        def inner(*args, **kwargs):
            return function(*args, **kwargs) if level else None

        return inner

    return decorate


def retrying(function, times=2):
    def inner(*args, **kwargs):
        error = None
        for _ in range(times):
            try:
                return function(*args, **kwargs)
            except ValueError as raised:
                error = raised
        raise error

    return inner


def later(function):
    async def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


@pytest.mark.parametrize("hide", [unwrapped, Memo, configured(1), retrying, later, lambda f: unwrapped(Memo(f))])
def test_parameters_are_seen_behind_a_decorator_that_hides_them(hide):
    def both(output, expected):
        return output, expected

    def by_keyword(output, *, expected):
        return output, expected

    async def task(example):
        return example

    if hide is not later:
        assert run_task(hide(task)) == EXAMPLE
    for function in (both, by_keyword):
        assert run_evaluator(hide(function)) == (OUTPUT, EXAMPLE.output)


def test_a_decorator_that_fills_in_an_argument_is_called_with_the_output():
    def judged(function):
        def inner(*args, **kwargs):
            return function("client", *args, **kwargs)

        return inner

    assert run_evaluator(judged(lambda client, output: (client, output))) == ("client", OUTPUT)


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (_async_input, "input"),
        (_async_expected, "expected"),
        (wrapped_async(_async_input), "input"),
        (unwrapped(_async_input), "input"),
        (functools.partial(_async_input), "input"),
        (_async_example, None),
        (_async_row, None),
        (lambda input: input, None),  # noqa: A006 - the name is tested
    ],
)
def test_an_async_parameter_that_is_called_as_another_value_is_named(task, name):
    assert misnamed_parameter(task) == name


# --- evaluator objects ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def experiments() -> Any:
    """The Phoenix client's experiment types."""
    from evalwire.phoenix.connection import _skip_server_imports

    _skip_server_imports()
    import phoenix.client.resources.experiments.types as module

    return module


@pytest.mark.parametrize("is_async", [False, True])
def test_phoenix_evals_function_evaluators_work(evals, is_async):
    """A function decorated by phoenix-evals scores the output, async or not, under the file's name."""
    if is_async:

        @evals.create_evaluator(name="other")
        async def ev(output, expected):
            return float(output["said"] == expected["expected_output"])

    else:

        @evals.create_evaluator(name="other")
        def ev(output, expected):
            return float(output["said"] == expected["expected_output"])

    [verdict] = parse_scores(run_evaluator(ev), name="ev")
    assert (verdict.name, verdict.score) == ("ev", 1.0)


def test_phoenix_evals_evaluator_subclasses_work(evals):
    """An instance of the user's own phoenix-evals class is given all values and keeps its kind."""

    class Judge(evals.Evaluator):
        def __init__(self):
            super().__init__(name="judge", kind="llm")

        def _evaluate(self, eval_input):
            return [evals.Score(score=0.5, label=eval_input["output"]["said"], explanation=eval_input["input"]["q"])]

        def _get_required_fields(self, input_mapping):
            return {"output", "input"}

    judge = Judge()
    [verdict] = parse_scores(run_evaluator(judge), name="judge")
    assert (verdict.score, verdict.label, verdict.explanation) == (0.5, "answer", "ask")
    assert bind_evaluator("judge", judge, path=PATH).annotator_kind == "LLM"


@pytest.mark.parametrize("is_async", [False, True])
def test_phoenix_client_evaluators_work(experiments, is_async):
    """An object of the Phoenix client's BaseEvaluator scores, whichever of its two methods it has."""
    if is_async:

        class Exact(experiments.BaseEvaluator):
            async def async_evaluate(self, *, output=None, expected=None, **_):
                return {"score": float(output["said"] == expected["expected_output"]), "label": "async"}

    else:

        class Exact(experiments.BaseEvaluator):
            def evaluate(self, *, output=None, expected=None, **_):
                return {"score": float(output["said"] == expected["expected_output"]), "label": "plain"}

    [verdict] = parse_scores(run_evaluator(Exact()), name="exact")
    assert (verdict.score, verdict.label) == (1.0, "async" if is_async else "plain")


def test_phoenix_client_evaluators_get_their_values_by_name(experiments):
    """As the client gives them, also where the parameters could be given by position."""

    class ByName(experiments.BaseEvaluator):
        def evaluate(self, output=None, expected=None, **_):
            return float(output["said"] == expected["expected_output"])

    class Required:
        def evaluate(self, output, expected):
            return float(output["said"] == expected["expected_output"])

    class Few:
        def evaluate(self, *, output):
            return float("said" in output)

    for evaluator in (ByName(), Required(), Few()):
        [verdict] = parse_scores(run_evaluator(evaluator), name="exact")
        assert verdict.score == 1.0

    class Unknown:
        def evaluate(self, output, context):
            return 1.0

    with pytest.raises(BindingError, match="context"):
        bind_evaluator("exact", Unknown(), path=PATH)


def test_phoenix_client_decorated_functions_work(experiments):
    """A function decorated by the Phoenix client's create_evaluator scores and keeps its kind."""
    from phoenix.client.resources.experiments.evaluators import create_evaluator

    @create_evaluator(kind="LLM", name="other")
    def ev(output, expected):
        return output["said"] == expected["expected_output"]

    [verdict] = parse_scores(run_evaluator(ev), name="ev")
    assert (verdict.name, verdict.score) == ("ev", 1.0)
    assert bind_evaluator("ev", ev, path=PATH).annotator_kind == "LLM"


def test_plain_evaluate_methods_of_evaluator_objects_leave_the_loop_free(experiments):
    """An evaluator object with only a plain `evaluate` runs off the event loop, as plain functions do."""
    seen = []

    class Plain(experiments.BaseEvaluator):
        def evaluate(self, *, output=None, **_):
            seen.append(threading.get_ident())
            return {"score": 1.0}

    run_evaluator(Plain())
    assert seen != [threading.get_ident()]


@pytest.mark.parametrize("kind", [classmethod, staticmethod])
def test_evaluate_may_belong_to_the_class(kind):
    """An object whose `evaluate` is a class or static method is an evaluator object like any other."""

    def evaluate(*_, **values):
        return threading.get_ident(), values["output"]["said"]

    judge = type("Judge", (), {"evaluate": kind(evaluate)})()
    thread, said = run_evaluator(judge)
    assert said == "answer"
    assert thread != threading.get_ident()


def test_an_inherited_evaluate_is_found(experiments):
    """An evaluator object uses the method that its own parent class wrote."""

    class Base(experiments.BaseEvaluator):
        def evaluate(self, *, output=None, **_):
            return {"score": self.weight, "label": str(threading.get_ident())}

    class Child(Base):
        weight = 0.5

    [verdict] = parse_scores(run_evaluator(Child()), name="child")
    assert verdict.score == 0.5
    assert verdict.label != str(threading.get_ident())


def test_plain_functions_decorated_by_the_client_leave_the_loop_free(experiments):
    """A plain function decorated by the Phoenix client's create_evaluator runs off the event loop."""
    from phoenix.client.resources.experiments.evaluators import create_evaluator

    @create_evaluator()
    def ev(output):
        return float(threading.get_ident())

    [verdict] = parse_scores(run_evaluator(ev), name="ev")
    assert verdict.score != float(threading.get_ident())


def test_plain_phoenix_evals_functions_leave_the_loop_free(evals):
    """A plain function decorated by phoenix-evals runs off the event loop."""

    @evals.create_evaluator(name="ev")
    def ev(output):
        return float(threading.get_ident())

    [verdict] = parse_scores(run_evaluator(ev), name="ev")
    assert verdict.score != float(threading.get_ident())


@pytest.mark.parametrize(("kind", "expected"), [("llm", "LLM"), ("HUMAN", "HUMAN"), ("code", "CODE"), ("x", "CODE")])
def test_the_annotator_kind_is_the_objects(kind, expected):
    """An evaluator object's own kind is how Phoenix files its evaluations."""

    class Judge:
        def evaluate(self, **values):
            return 1.0

    judge = Judge()
    judge.kind = kind
    assert bind_evaluator("judge", judge, path=PATH).annotator_kind == expected


def test_functions_are_filed_as_code():
    """A plain function's evaluations are filed as code."""
    assert bind_evaluator("ev", lambda output: 1, path=PATH).annotator_kind == "CODE"


# --- calling -------------------------------------------------------------------------------------------

REQUEST = contextvars.ContextVar("REQUEST", default="unset")


def test_async_functions_run_on_the_event_loop():
    """An async task runs on the loop's own thread, so that its clients' connections can be shared."""

    async def task(example):
        return threading.get_ident()

    assert run_task(task) == threading.get_ident()


def test_plain_functions_run_on_another_thread_with_the_callers_context():
    """A plain task leaves the loop free and still sees the context variables of its caller."""
    callee = bind_task(lambda input: (threading.get_ident(), REQUEST.get()), path=PATH)  # noqa: A006

    async def main():
        REQUEST.set("mine")
        return await call(callee, task_values(EXAMPLE), Threads())

    thread, value = asyncio.run(main())
    assert thread != threading.get_ident()
    assert value == "mine"


def test_what_a_function_sets_in_its_context_stays_there():
    """Context variables that a plain function sets do not reach the next call."""
    callee = bind_task(lambda input: REQUEST.set("changed"), path=PATH)  # noqa: A006

    async def main():
        await call(callee, task_values(EXAMPLE), Threads())
        return REQUEST.get()

    assert asyncio.run(main()) == "unset"


def test_an_awaitable_that_a_plain_function_returns_is_awaited():
    """A lambda around a coroutine function works like the coroutine function."""
    assert run_task(lambda input: _async_row(input)) == {"q": "ask"}  # noqa: A006, PLW0108


def test_a_decorator_that_hides_a_coroutine_function_gets_the_example():
    """As the function would; and that of a plain one the input, also where it holds something else."""
    assert run_task(unwrapped(_async_row)) == EXAMPLE
    assert run_task(unwrapped(lambda row: row)) == {"q": "ask"}

    def twice(function: Callable[..., Any], times: int = 2) -> Callable[..., Any]:
        return lambda *args: [function(*args)] * times

    assert run_task(twice(lambda row: row)) == [{"q": "ask"}] * 2


def test_a_plain_wrapper_may_run_the_coroutine_itself():
    """A decorator that makes a coroutine function plain with asyncio.run works, with functools.wraps too."""

    async def task(example):
        return example["input"]

    @functools.wraps(task)
    def plain(example):
        return asyncio.run(task(example))

    assert run_task(plain) == {"q": "ask"}


@pytest.mark.parametrize("error", [KeyError("q"), SystemExit(3), StopAsyncIteration()])
def test_what_a_plain_function_raises_is_raised(error):
    """An exception on the thread arrives as it was, sys.exit() included."""

    def task(input):
        raise error

    async def main():
        try:
            await call(bind_task(task, path=PATH), task_values(EXAMPLE), Threads())
        except BaseException as raised:
            return raised

    assert asyncio.run(main()) is error


def stop_iteration(input):
    raise StopIteration("done")


def test_stop_iteration_from_a_function_is_a_failure_and_not_a_hang():
    """StopIteration, which neither a future nor a coroutine may carry, arrives with its line."""

    async def main():
        callee = bind_task(stop_iteration, path=PATH)
        root = Path(__file__).parent
        made = Call(callee, clock=Clock(20), root=root, stage="task", convert=str)
        made.start(Untraced(), task_values(EXAMPLE), Threads())
        await made.over()
        return made.failure

    failure = asyncio.run(main())
    assert (failure.type, failure.message) == ("StopIteration", "done")
    assert failure.where == f"{__file__}:{stop_iteration.__code__.co_firstlineno + 1}"


def test_a_call_whose_task_is_cancelled_before_its_first_step_ends():
    """By user code that cancels tasks of the loop."""

    async def task(example):
        raise AssertionError("it does not start")

    async def main():
        made = Call(bind_task(task, path=PATH), clock=Clock(20), root=PATH, stage="task", convert=str)
        made.start(Untraced(), task_values(EXAMPLE), Threads())
        (started,) = asyncio.all_tasks() - {asyncio.current_task()}
        started.cancel()
        await made.over()
        return made.failure

    assert asyncio.run(main()).type == "CancelledError"


def test_a_calls_coroutine_can_be_inspected():
    """anyio asks whether a task has started."""

    async def task(example):
        seen.append(inspect.getcoroutinestate(asyncio.current_task().get_coro()))
        with anyio.move_on_after(0.01) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 60)
                await anyio.sleep(60)
        return scope.cancelled_caught

    seen = []
    assert run_task(task) is True
    assert seen == [inspect.CORO_RUNNING]


def test_only_what_a_function_is_bound_to_is_copied(monkeypatch):
    copied = []
    monkeypatch.setattr(values, "_copy", lambda value: copied.append(value) or value)
    assert run_evaluator(lambda output, expected: output) == OUTPUT
    assert copied == [OUTPUT, EXAMPLE.output]


def test_stop_iteration_on_a_thread_is_an_error_of_whoever_waits_for_it():
    """Requests to Phoenix run on threads too."""
    with pytest.raises(RuntimeError, match="StopIteration: done"):
        asyncio.run(Threads().run(functools.partial(stop_iteration, None)))


def test_a_task_cannot_change_what_evaluators_see():
    """A task that edits its input, metadata and example leaves the evaluators' values as they were."""

    def task(input, metadata, expected, example):
        input["q"] = metadata["m"] = expected["expected_output"] = "changed"
        example.input["new"] = example.metadata["new"] = 1

    example = Example(id="e", node_id="n", input={"q": "ask"}, output={"expected_output": "a"}, metadata={"m": 1})
    run(bind_task(task, path=PATH), task_values(example))
    seen = evaluator_values(example, OUTPUT, None)
    assert (seen["input"], seen["expected"], seen["metadata"]) == ({"q": "ask"}, {"expected_output": "a"}, {"m": 1})


def test_an_evaluator_cannot_change_what_the_next_one_sees():
    """Each evaluator works on copies: neither the output nor the example is shared."""
    output = {"items": [1, 2]}
    first = evaluator_values(EXAMPLE, output, None)
    first["output"]["items"].clear()
    first["input"].clear()
    second = evaluator_values(EXAMPLE, output, None)
    assert (second["output"], second["input"]) == ({"items": [1, 2]}, {"q": "ask"})


# --- threads -------------------------------------------------------------------------------------------


def test_many_blocking_functions_run_at_once():
    """However many plain functions block, each one gets a thread: none waits for another."""
    together = threading.Barrier(100, timeout=20)

    async def main():
        threads = Threads()
        await asyncio.gather(*(threads.run(together.wait) for _ in range(100)))
        threads.close()

    asyncio.run(main())
    assert not together.broken


def test_idle_threads_are_reused():
    """Functions that run one after the other share one thread."""

    async def main():
        threads, idents = Threads(), set()
        for _ in range(20):
            idents.add(await threads.run(threading.get_ident))
            while threads.busy:
                await asyncio.sleep(0)
        threads.close()
        return idents

    assert len(asyncio.run(main())) == 1


def test_a_batch_after_a_batch_neither_starves_nor_shares():
    """Reused and new threads together still run every function at once."""
    first, second = threading.Barrier(5, timeout=20), threading.Barrier(20, timeout=20)

    async def main():
        threads = Threads()
        for barrier in (first, second):
            await asyncio.gather(*(threads.run(barrier.wait) for _ in range(barrier.parties)))
        threads.close()

    asyncio.run(main())
    assert not first.broken
    assert not second.broken


def test_threads_are_daemons():
    """A function that never returns does not keep the process from ending."""

    async def main():
        return await Threads().run(lambda: threading.current_thread().daemon)

    assert asyncio.run(main()) is True


def test_closing_ends_idle_threads():
    """After `close`, idle threads are gone."""

    async def main():
        threads = Threads()
        thread = await threads.run(threading.current_thread)
        while threads.busy:
            await asyncio.sleep(0)
        threads.close()
        return thread

    thread = asyncio.run(main())
    thread.join(timeout=20)
    assert not thread.is_alive()


def test_an_abandoned_function_is_counted_until_it_returns():
    """A function whose caller gave up counts as busy, and its return disturbs nobody."""
    started, release = threading.Event(), threading.Event()

    def function():
        started.set()
        release.wait(timeout=20)

    async def main():
        threads = Threads()
        caller = asyncio.create_task(threads.run(function))
        while not started.is_set():
            await asyncio.sleep(0)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        busy = threads.busy
        release.set()
        while threads.busy:
            await asyncio.sleep(0)
        return busy, caller.cancelled()

    assert asyncio.run(main()) == (1, True)
