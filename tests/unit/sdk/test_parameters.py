"""What a model is told that a function takes, and how what it writes is read."""

import functools
import gc
import weakref
from typing import Any

import pytest
from pydantic import BaseModel

from perdure.errors import UsageError
from perdure.sdk.parameters import parameters_schema, read_arguments


class Claim(BaseModel):
    amount: int


def review(claim: Claim, urgent: bool = False, schema: str = "") -> None: ...


def test_a_schema_has_names_types_and_what_is_required() -> None:
    schema = parameters_schema(review)
    assert schema["properties"] == {
        "claim": {"$ref": "#/$defs/Claim"},
        "urgent": {"type": "boolean", "default": False},
        "schema": {"type": "string", "default": ""},  # a name that pydantic's models have themselves
    }
    assert schema["required"] == ["claim"]


def test_a_function_that_takes_nothing_has_an_object_without_properties() -> None:
    def nothing() -> None: ...

    assert parameters_schema(nothing) == {"type": "object", "properties": {}, "additionalProperties": False}
    assert read_arguments(nothing, "") == {}


def test_arguments_are_of_the_functions_own_types_and_defaults_are_left_to_it() -> None:
    assert read_arguments(review, '{"claim": {"amount": "900"}}') == {"claim": Claim(amount=900)}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('{"claim": {"amount": "much"}}', "claim.amount: Input should be a valid integer"),
        ("{}", "claim: Field required"),
        ('{"claim": {"amount": 1}, "now": 1}', "now: Extra inputs are not permitted"),
        ('{"claim"', "Invalid JSON"),
    ],
)
def test_what_does_not_fit_says_where(written: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_arguments(review, written)


def test_functions_that_handlers_make_are_not_kept() -> None:
    def make() -> weakref.ref[Any]:
        def local(amount: int) -> None: ...

        assert read_arguments(local, '{"amount": 1}') == {"amount": 1}
        return weakref.ref(local)

    made = make()
    gc.collect()
    assert made() is None


def test_what_is_no_function_is_to_become_one() -> None:
    with pytest.raises(UsageError, match="write one with `def` around it"):
        parameters_schema(functools.partial(review, urgent=True))


def test_what_cannot_be_given_by_name_or_has_no_schema_is_refused() -> None:
    def varies(*amounts: int) -> None: ...
    def alien(thing: pytest.Session) -> None: ...

    with pytest.raises(UsageError, match=r"varies cannot be offered to a model: it takes \*amounts"):
        parameters_schema(varies)
    with pytest.raises(UsageError, match="alien cannot be offered to a model"):
        parameters_schema(alien)
