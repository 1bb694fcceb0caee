"""Serdes: what goes in comes out, typed as it was annotated; nothing stands for no bytes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.sdk.serde import (
    BytesSerde,
    DefaultSerde,
    JsonSerde,
    MsgspecJsonSerde,
    PydanticJsonSerde,
    Serde,
    serde_for,
)


class Model(pydantic.BaseModel):
    name: str
    at: datetime | None = None


class Aliased(pydantic.BaseModel):
    full_name: str = pydantic.Field(alias="fullName")


@dataclass
class Data:
    name: str
    tags: list[str]


@dataclass
class HoldsModel:
    model: Model


class Dictionary(TypedDict):
    name: str


class Other(TypedDict):
    size: int


class Packed(msgspec.Struct):
    name: str
    size: int = 3


class Node(msgspec.Struct):
    child: "Node | None" = None


class Opaque:
    pass


NOW = datetime(2026, 1, 2, tzinfo=UTC)

ROUND_TRIPS: list[tuple[Any, Any]] = [
    (str, "ä"),
    (int, 1 << 80),
    (float, 1.5),
    (bool, True),
    (list[int], [1, 2]),
    (dict[str, list[Data]], {"a": [Data("x", ["y"])]}),
    (str | None, "x"),
    (int | str, "x"),
    (Literal["a", "b"], "a"),
    (tuple[int, str], (1, "a")),
    (set[int], {1, 2}),
    (UUID, UUID(int=7)),
    (datetime, NOW),
    (Data, Data("x", ["y"])),
    (Dictionary, {"name": "x"}),
    (Packed, Packed("x")),
    (Node, Node(Node())),
    (Model, Model(name="x", at=NOW)),
    (Model | None, Model(name="x")),
    (list[Model], [Model(name="x")]),
    (dict[str, Model], {"a": Model(name="x")}),
    (Aliased, Aliased(fullName="x")),
    (HoldsModel, HoldsModel(Model(name="x"))),
    (Path, Path("/x")),
    (bytes, b"\x00\xff"),
]


@pytest.mark.parametrize(("hint", "value"), ROUND_TRIPS, ids=lambda each: str(each)[:40])
def test_a_value_comes_back_as_it_was_annotated(hint: Any, value: Any) -> None:
    serde = serde_for(hint)
    back = serde.deserialize(serde.serialize(value))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("hint", [str, bytes, Data, Model, Packed, Any, None, Model | None], ids=str)
def test_none_is_no_bytes_and_no_bytes_are_none(hint: Any) -> None:
    serde = serde_for(hint)
    assert serde.serialize(None) == b""
    assert serde.deserialize(b"") in (None, b"")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_any_json_survives_plain_json(value: Any) -> None:
    serde = JsonSerde[Any]()
    assert serde.deserialize(serde.serialize(value)) == value


@given(st.binary())
def test_bytes_are_bytes(value: bytes) -> None:
    assert BytesSerde().deserialize(BytesSerde().serialize(value)) == value


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (str, MsgspecJsonSerde),
        (Data, MsgspecJsonSerde),
        (Packed | None, MsgspecJsonSerde),
        (Model, PydanticJsonSerde),
        (list[Model], PydanticJsonSerde),
        (Annotated[str, pydantic.Field(min_length=2)], PydanticJsonSerde),
        (Annotated[str, msgspec.Meta(min_length=2)], MsgspecJsonSerde),
        (bytes, BytesSerde),
        (Opaque, JsonSerde),
        ("not resolved", JsonSerde),
        (Any, JsonSerde),
    ],
    ids=str,
)
def test_the_hint_chooses_the_serde(hint: Any, kind: type[Serde[Any]]) -> None:
    assert type(serde_for(hint)) is kind


@pytest.mark.parametrize(
    ("hint", "body"),
    [
        (str, b"1"),
        (int, b'"1"'),
        (Data, b'{"name": 1}'),
        (Model, b"{}"),
        (Packed, b"[]"),
        (Dictionary, b"{}"),
        (Annotated[str, pydantic.Field(min_length=2)], b'"a"'),
        (str, b"not json"),
        (Any, b"{"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(hint: Any, body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec's and pydantic's errors have no nearer common base
        serde_for(hint).deserialize(body)


def test_models_anywhere_in_plain_json_are_written() -> None:
    body = JsonSerde[Any]().serialize({"models": [Model(name="x")], "path": Path("/x")})
    assert msgspec.json.decode(body) == {"models": [{"name": "x", "at": None}], "path": "/x"}


def test_what_cannot_be_written_is_named() -> None:
    with pytest.raises(TypeError, match="Opaque cannot be written as JSON"):
        JsonSerde[Any]().serialize(Opaque())


def test_the_same_value_gives_the_same_bytes() -> None:
    serde = serde_for(Model)
    assert serde.serialize(Model(name="x", at=NOW)) == serde.serialize(Model(at=NOW, name="x"))


def test_an_unhashable_hint_works_too() -> None:
    hint = Annotated[str, ["unhashable"]]
    assert serde_for(hint).deserialize(b'"x"') == "x"


def test_default_serde_follows_its_hint() -> None:
    assert DefaultSerde[Any]().deserialize(b'{"name": "x"}') == {"name": "x"}
    typed = DefaultSerde[Any]().with_maybe_type(Model)
    assert typed.deserialize(b'{"name": "x"}') == Model(name="x")
    assert typed.type_hint is Model


def test_a_subclass_of_a_model_keeps_its_fields() -> None:
    class Wider(Model):
        more: int

    assert b'"more":1' in serde_for(Model).serialize(Wider(name="x", more=1))
