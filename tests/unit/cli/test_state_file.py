"""The file that state is carried in: whatever an object has comes back, and what is no such file is said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.cli.moving.state_file import ObjectName, State, decode, encode
from perdure.errors import UsageError

texts = st.text(st.characters(codec="utf-8"))


@given(texts, texts, st.sampled_from(["", "eu"]), st.dictionaries(texts, st.binary() | texts.map(str.encode)))
def test_every_object_comes_back_from_one_line(service: str, key: str, scope: str, state: State) -> None:
    name = ObjectName(service, key, scope)
    line = encode(name, state)
    assert line.count(b"\n") == 1
    assert list(decode(line.splitlines(keepends=True))) == [(name, state)]


def test_text_can_be_read_and_the_rest_is_base64() -> None:
    line = encode(ObjectName("Cart", "ann"), {"item": b'"a lamp"', "picture": b"\xff\xd8"})
    assert json.loads(line) == {
        "service": "Cart",
        "key": "ann",
        "state": {"item": '"a lamp"'},
        "state_base64": {"picture": "/9g="},
    }


@pytest.mark.parametrize(
    "line",
    [b'{"service":"Cart","key":"an', b"[]", b'{"service":"Cart"}', b'{"service":"A","key":"b","value":1}', b"\xff"],
)
def test_a_line_that_is_something_else_is_named(line: bytes) -> None:
    with pytest.raises(UsageError, match="line 3 is no object that `perdure export` wrote"):
        list(decode([b'{"service":"Cart","key":"ann"}\n', b"\n", line]))
