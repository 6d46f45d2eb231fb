"""Whether the output is valid by a JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from evalwire.evaluators._values import parse_json
from evalwire.loading import load
from evalwire.model import to_json

_UNCHECKABLE = (TypeError, ValueError, ArithmeticError, RecursionError)  # no JSON, too large a number, too deep


class SchemaEvaluator(Protocol):
    """A function that tells whether an output is valid; it needs no expectation."""

    def __call__(self, output: Any, expected: Mapping[str, Any] | None = None) -> bool:
        """Score one output."""


def make_schema_evaluator(schema: Mapping[str, Any] | bool) -> SchemaEvaluator:
    """Make an evaluator that scores whether the output is valid by a JSON Schema.

    Text is read as JSON, and is not valid where it is none; any other output is checked as the JSON value that it is
    recorded as. None, and what has no JSON form or is nested too deeply, is not valid. `format` is not checked.

    Args:
        schema: the schema, in the dialect of its `$schema`, or in Draft 7 without one. References lead to the schema
            itself, or to the published meta-schemas; nothing is fetched.

    Returns:
        A function of `output` (and `expected`, which it leaves alone) that returns a bool and raises nothing.

    Raises:
        ImportError: jsonschema is not installed.
        TypeError: the schema is neither a mapping nor a bool.
        ValueError: its dialect is unknown, or one of its references leads elsewhere.
        jsonschema.SchemaError: it is not valid itself.
    """
    validator = _validator(schema)

    def schema_evaluator(output: Any, expected: Mapping[str, Any] | None = None) -> bool:  # noqa: ARG001 - bound by name
        """Check whether the output is valid by the schema."""
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
    """The schema's validator, which looks up references in the schema and the meta-schemas alone."""
    try:
        validators = load("jsonschema.validators")
        registry = load("jsonschema_specifications").REGISTRY
    except ImportError as error:
        raise ImportError("make_schema_evaluator needs jsonschema: pip install 'evalwire[schema]'") from error
    if isinstance(schema, bool):  # valid in every dialect since Draft 6: all is, or nothing is
        return validators.Draft7Validator(schema)
    if not isinstance(schema, Mapping):
        raise TypeError(f"a schema is a mapping or a bool, not a {type(schema).__qualname__}")
    own = to_json(schema, name="schema")  # a copy, so that nobody changes it later
    dialect = validators.validator_for(own, default=None) if "$schema" in own else validators.Draft7Validator
    if dialect is None:
        raise ValueError(f"the schema's dialect is unknown: $schema is {own['$schema']!r}")
    dialect.check_schema(own)
    _check_references(own, dialect, registry)
    return dialect(own, registry=registry)


def _check_references(schema: Mapping[str, Any], dialect: Any, registry: Any) -> None:
    """Look up every reference once: one that leads nowhere must not wait for an output that needs it."""
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
                    f"the schema refers to {reference!r}, which is not in it, and nothing is fetched; "
                    "put a copy under `definitions` (`$defs` since 2019-09)"
                ) from None
        waiting += [(inner, resolver.in_subresource(inner)) for inner in resource.subresources()]


def _references(schema: Any) -> Iterator[str]:
    for keyword in ("$ref", "$dynamicRef") if isinstance(schema, Mapping) else ():
        if isinstance(reference := schema.get(keyword), str):
            yield reference
