"""What a language model says of the output."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from evalwire.evaluators._expected import items
from evalwire.usercode import with_twin

_FIELDS = ("output", "expected_output")


def make_llm_judge_evaluator(
    model: Any,
    prompt_template: str,
    output_schema: Any,
    *,
    result_key: str = "score",
    on_error: Literal["silent", "reraise"] = "silent",
    error_callback: Callable[[Exception], object] | None = None,
    key: str = "expected_output",
) -> Callable[..., Any]:
    """Make an evaluator that asks a language model, and returns one field of its structured answer.

    The model is LangChain's, or anything else with `with_structured_output`, which is called once, with
    `output_schema`; what it returns is asked for each output: by evalwire with `ainvoke` if it has that, so that many
    outputs are judged at once, and by a call of your own with `invoke`.

    Args:
        model: a chat model.
        prompt_template: the prompt, a text for `str.format` with `{output}` and `{expected_output}`; braces that belong
            to the prompt are doubled. None, and an expected column that is missing, become the empty text.
        output_schema: the answer's form, as `with_structured_output` takes it: a pydantic model, a JSON Schema, ...
        result_key: the field of the answer that is returned, an attribute or a key: a score, a label, or whatever else
            an evaluator may return.
        on_error: what to do when there is no answer, or none with that field. `"silent"` returns None, which evalwire
            counts as a failure of the evaluator, never as a score; `"reraise"` raises the error.
        error_callback: called with each such error, before anything else.
        key: the expected column.

    Returns:
        A function of `output` and `expected`, which is async where the model has `ainvoke` alone. It raises TypeError
        when `expected` is not a mapping; with `"reraise"` whatever the model raises, a LookupError or AttributeError
        when the field is missing, and a ValueError when the model gives no answer; and in any case what
        `error_callback` raises, and what `str.format` does for a field such as `{output[answer]}` that is not there.

    Raises:
        ImportError: the model has no `with_structured_output`.
        ValueError: `on_error` is another word, `"reraise"` has no callback, or the template has other fields.
    """
    if on_error not in {"silent", "reraise"}:
        raise ValueError(f'on_error is {on_error!r}; it is "silent" or "reraise"')
    if on_error == "reraise" and error_callback is None:
        raise ValueError('on_error="reraise" needs an error_callback')
    _check_fields(prompt_template)
    judge = _structured(model, output_schema)
    prompt = partial(_prompt, prompt_template, key=key)
    fail = partial(_fail, callback=error_callback, is_raised=on_error == "reraise")

    def llm_judge(output: Any, expected: Mapping[str, Any] | None) -> Any:
        """Evaluate the output with a language model."""
        question = prompt(output, expected)
        try:
            return _field(judge.invoke(question), result_key)
        except Exception as error:
            fail(error)
            return None

    async def llm_judge_async(output: Any, expected: Mapping[str, Any] | None) -> Any:
        """Evaluate the output with a language model."""
        question = prompt(output, expected)
        try:
            return _field(await judge.ainvoke(question), result_key)
        except Exception as error:
            fail(error)
            return None

    llm_judge_async.__name__, llm_judge_async.__qualname__ = llm_judge.__name__, llm_judge.__qualname__
    if not callable(getattr(judge, "ainvoke", None)):
        return llm_judge
    return with_twin(llm_judge, llm_judge_async) if callable(getattr(judge, "invoke", None)) else llm_judge_async


def _structured(model: Any, output_schema: Any) -> Any:
    if not callable(structured := getattr(model, "with_structured_output", None)):
        raise ImportError(
            f"a {type(model).__qualname__} has no with_structured_output; "
            "give a chat model of LangChain's: pip install langchain-core, and the package of its provider"
        )
    return structured(output_schema)


def _prompt(template: str, output: Any, expected: Mapping[str, Any] | None, *, key: str) -> str:
    wanted = next(iter(items(expected, key)), "")
    return template.format(output="" if output is None else output, expected_output=wanted)


def _fail(error: Exception, *, callback: Callable[[Exception], object] | None, is_raised: bool) -> None:
    if callback is not None:
        callback(error)
    if is_raised:
        raise error


def _check_fields(template: str) -> None:
    """Hold the fields of a template to those that are filled in.

    Raises:
        ValueError: it has another one, or a brace without its partner.
    """
    for _, name, _, _ in string.Formatter().parse(template):
        if name is not None and name.partition(".")[0].partition("[")[0] not in _FIELDS:
            raise ValueError(
                f"the prompt has the field {{{name}}}; there are {{output}} and {{expected_output}}. "
                "Double the braces that belong to the prompt: {{ and }}"
            )


def _field(answer: Any, name: str) -> Any:
    if answer is None:
        raise ValueError("the model gave no structured answer")
    return answer[name] if isinstance(answer, Mapping) else getattr(answer, name)
