"""Versions: the highest that both know; a content type says it byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import RemoteProtocolError
from perdure.protocol.versions import VERSION_MAX, VERSION_MIN, content_type, negotiate, parse_content_type


@given(st.integers(1, 12), st.integers(1, 12))
def test_negotiation_takes_the_highest_that_both_know(low: int, high: int) -> None:
    both = set(range(low, high + 1)) & set(range(VERSION_MIN, VERSION_MAX + 1))
    assert negotiate(low, high) == (max(both) if both else None)


@pytest.mark.parametrize("version", [5, 6, 7])
def test_a_content_type_names_its_version(version: int) -> None:
    assert content_type(version) == f"application/vnd.restate.invocation.v{version}"
    assert parse_content_type(content_type(version)) == version


@pytest.mark.parametrize(
    "value",
    [
        "",
        "application/json",
        "application/vnd.restate.invocation.v",
        "application/vnd.restate.invocation.v4",
        "application/vnd.restate.invocation.v8",
        "application/vnd.restate.invocation.v6; charset=utf-8",
        "application/vnd.restate.invocation.v-6",
        "application/vnd.restate.invocation.v²",
        "application/vnd.restate.endpointmanifest.v4+json",
    ],
)
def test_another_content_type_is_a_protocol_error(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_content_type(value)


@given(st.text())
def test_any_text_is_a_content_type_or_a_protocol_error(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_content_type(value)
