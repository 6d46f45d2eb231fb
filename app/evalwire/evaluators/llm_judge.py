"""Score the output with a language model."""

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
    """Make an evaluator that prompts a language model and returns a field of the structured answer.

    The model is a LangChain chat model, or any object with `with_structured_output`. This method is called once, with
    `output_schema`. evalwire calls the result with `ainvoke` if available, so many outputs are scored concurrently. A
    direct call of the evaluator uses `invoke`.

    Args:
        model: a chat model.
        prompt_template: the prompt as a `str.format` template with `{output}` and `{expected_output}`. Double the
            braces that belong to the prompt. None and a missing expected column become the empty text.
        output_schema: the form of the answer for `with_structured_output`: a pydantic model, a JSON Schema, ...
        result_key: the field of the answer to return, an attribute or a key. Its value is a score, a label, or any
            other result of an evaluator.
        on_error: behavior if there is no answer, or no such field. `"silent"` returns None, which evalwire counts as
            a failure of the evaluator, never as a score. `"reraise"` raises the error.
        error_callback: function to call first, with each of these errors.
        key: the expected column.

    Returns:
        A function of `output` and `expected`, which is async if the model has only `ainvoke`. It raises TypeError if
        `expected` is not a mapping. It raises exceptions of `error_callback`, and of `str.format` for a missing field
        such as `{output[answer]}`. With `"reraise"`, it also raises the model's exceptions, LookupError or
        AttributeError if the field is missing, and ValueError if the model gives no answer.

    Raises:
        ImportError: the model has no `with_structured_output`.
        ValueError: `on_error` is invalid, `"reraise"` has no callback, or the template has other fields.
    """
    if on_error not in {"silent", "reraise"}:
        raise ValueError(f'invalid on_error {on_error!r}: use "silent" or "reraise"')
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
            f"a {type(model).__qualname__} has no with_structured_output. Use a LangChain chat model: "
            "pip install langchain-core and the package of the model's provider"
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
    """Check that a template has only the supported fields.

    Raises:
        ValueError: the template has another field, or an unbalanced brace.
    """
    for _, name, _, _ in string.Formatter().parse(template):
        if name is not None and name.partition(".")[0].partition("[")[0] not in _FIELDS:
            raise ValueError(
                f"the prompt has the unknown field {{{name}}}. Known fields: {{output}}, {{expected_output}}. "
                "Double the braces that belong to the prompt: {{ and }}"
            )


def _field(answer: Any, name: str) -> Any:
    if answer is None:
        raise ValueError("the model gave no structured answer")
    return answer[name] if isinstance(answer, Mapping) else getattr(answer, name)
