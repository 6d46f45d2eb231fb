"""Score whether the output is valid under a JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from evalwire.evaluators._values import parse_json
from evalwire.loading import load
from evalwire.model import to_json

_UNCHECKABLE = (TypeError, ValueError, ArithmeticError, RecursionError)  # not JSON, a number too large, too deep


class SchemaEvaluator(Protocol):
    """A function that checks an output, without expected columns."""

    def __call__(self, output: Any, expected: Mapping[str, Any] | None = None) -> bool:
        """Score an output."""


def make_schema_evaluator(schema: Mapping[str, Any] | bool) -> SchemaEvaluator:
    """Make an evaluator that scores whether the output is valid under a JSON Schema.

    Text is parsed as JSON, and text that is not JSON is invalid. Any other output is checked as the JSON value that
    evalwire records. None, a value without a JSON form, and a value that is nested too deeply are invalid. `format` is
    not checked.

    Args:
        schema: the schema, in the dialect of its `$schema` (default: Draft 7). References must resolve to the schema
            itself or to the published meta-schemas. Nothing is fetched from the network.

    Returns:
        A function of `output` (and `expected`, which it ignores) that returns a bool. It does not raise.

    Raises:
        ImportError: jsonschema is not installed.
        TypeError: the schema is neither a mapping nor a bool.
        ValueError: the dialect is unknown, or a reference cannot be resolved.
        jsonschema.SchemaError: the schema itself is invalid.
    """
    validator = _validator(schema)

    def schema_evaluator(output: Any, expected: Mapping[str, Any] | None = None) -> bool:  # noqa: ARG001 - bound by name
        """Check whether the output is valid under the schema."""
        if output is None:
            return False
        try:
            value = to_json(parse_json(output) if isinstance(output, str) else output)
            return bool(validator.is_valid(value))
        except _UNCHECKABLE:
            return False

    schema_evaluator.__name__ = schema_evaluator.__qualname__ = "schema_valid"
    return schema_evaluator


def _validator(schema: Mapping[str, Any] | bool) -> Any:
    """Return a validator that resolves references only in the schema and the meta-schemas."""
    try:
        validators = load("jsonschema.validators")
        registry = load("jsonschema_specifications").REGISTRY
    except ImportError as error:
        raise ImportError("make_schema_evaluator needs jsonschema: pip install 'evalwire[schema]'") from error
    if isinstance(schema, bool):  # True accepts every value and False rejects it, in every dialect since Draft 6
        return validators.Draft7Validator(schema)
    if not isinstance(schema, Mapping):
        raise TypeError(f"a schema must be a mapping or a bool, not a {type(schema).__qualname__}")
    own = to_json(schema, name="schema")  # a copy: later changes by the caller have no effect
    dialect = validators.validator_for(own, default=None) if "$schema" in own else validators.Draft7Validator
    if dialect is None:
        raise ValueError(f"unknown schema dialect: $schema is {own['$schema']!r}")
    dialect.check_schema(own)
    _check_references(own, dialect, registry)
    return dialect(own, registry=registry)


def _check_references(schema: Mapping[str, Any], dialect: Any, registry: Any) -> None:
    """Resolve every reference now, so a broken reference fails before the first output.

    Raises:
        ValueError: a reference cannot be resolved.
    """
    unresolvable: type[Exception] = load("referencing.exceptions").Unresolvable
    root = load("referencing.jsonschema").specification_with(dialect.ID_OF(dialect.META_SCHEMA)).create_resource(schema)
    waiting = [(root, registry.resolver_with_root(root))]
    while waiting:
        resource, resolver = waiting.pop()
        for reference in _references(resource.contents):
            try:
                resolver.lookup(reference)
            except unresolvable:
                raise ValueError(
                    f"the schema refers to {reference!r}, which it does not contain, and nothing is fetched. "
                    "Add a copy under `definitions` (`$defs` since 2019-09)."
                ) from None
        waiting += [(inner, resolver.in_subresource(inner)) for inner in resource.subresources()]


def _references(schema: Any) -> Iterator[str]:
    for keyword in ("$ref", "$dynamicRef") if isinstance(schema, Mapping) else ():
        if isinstance(reference := schema.get(keyword), str):
            yield reference
