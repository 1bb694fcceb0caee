"""Bodies against what a handler's manifest says that it takes."""

import logging
from contextlib import nullcontext
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.engine.registry import ResolvedHandler
from perdure.errors import InvalidInput
from perdure.protocol.discovery import HandlerManifest, Payload
from perdure.server.validation import InputCheck, input_check
from tests.unit.server.fake_engine import CLAIM, JSON

BYTES = Payload(content_type="application/octet-stream", required=True)
JSON_TYPE = "application/json"


@pytest.mark.parametrize(
    ("payload", "content_type", "body"),
    [
        (None, None, b""),
        (None, None, b"anything"),
        (None, "text/weird", b"anything"),
        (Payload(content_type="*/*"), None, b"x"),
        (Payload(), None, b""),
        (Payload(), JSON_TYPE, b""),
        (JSON, JSON_TYPE, b"not JSON, but nobody said what it should be"),
        (JSON, "Application/JSON; charset=utf-8", b"{}"),
        (JSON, None, b""),
        (Payload(content_type="application/*"), "application/pdf", b"x"),
        (Payload(content_type="text/plain, application/xml"), "application/xml", b"x"),
        (BYTES, "application/octet-stream", b""),
        (CLAIM, JSON_TYPE, b'{"amount": 3000}'),
    ],
)
def test_what_fits_passes(payload: Payload | None, content_type: str | None, body: bytes) -> None:
    InputCheck("Echo/echo", payload).check(content_type, body)


@pytest.mark.parametrize(
    ("payload", "content_type", "body", "reason"),
    [
        (Payload(), None, b"{}", "takes no body"),
        (JSON, None, b"{}", "the body has no content-type: send it with `content-type: application/json`"),
        (JSON, "application/x-www-form-urlencoded", b"{}", "is not what Echo/echo takes"),
        (BYTES, None, b"", "needs a body"),
        (CLAIM, JSON_TYPE, b"", "needs a body"),
        (CLAIM, JSON_TYPE, b'{"amount": 3', "not JSON: Input data was truncated"),
        (CLAIM, JSON_TYPE, b'{"amount": 3,}', r"not JSON: .*\(byte 13\)"),
        (CLAIM, JSON_TYPE, b'{"amount": "\xff"}', "not UTF-8"),
        (CLAIM, JSON_TYPE, b"[" * 100_000, "nested too deep"),
        (CLAIM, JSON_TYPE, b"{}", r'at \$: "amount" is a required property'),
        (CLAIM, JSON_TYPE, b'{"amount": "much"}', r"at \$\.amount: value is not of type"),
        (CLAIM, JSON_TYPE, b'{"amount": 1, "lines": [{}, {"code": 7}]}', r"at \$\.lines\[1\]\.code"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_place(
    payload: Payload, content_type: str | None, body: bytes, reason: str
) -> None:
    with pytest.raises(InvalidInput, match=reason):
        InputCheck("Echo/echo", payload).check(content_type, body)


def test_a_secret_in_the_body_does_not_come_back_in_the_message() -> None:
    with pytest.raises(InvalidInput) as raised:
        InputCheck("Echo/echo", CLAIM).check(JSON_TYPE, b'{"amount": "s3cret"}')
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, {"$ref": "http://localhost:1/schema"}, {"$ref": "#/nowhere"}, 7]
)
def test_a_schema_that_cannot_be_used_is_reported_and_stops_no_call(
    schema: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        check = InputCheck("Echo/echo", Payload(content_type=JSON_TYPE, json_schema=schema))
    check.check(JSON_TYPE, b"{}")
    assert "cannot be used" in caplog.text


@given(
    st.none() | st.text(max_size=30),
    st.binary(max_size=50) | st.text(st.sampled_from('[]{}":,amount1e')).map(str.encode),
)
def test_any_body_passes_or_gives_a_reason(content_type: str | None, body: bytes) -> None:
    for payload in (None, Payload(), JSON, BYTES, CLAIM):
        try:
            InputCheck("Echo/echo", payload).check(content_type, body)
            InputCheck("Echo/echo", payload).check(JSON_TYPE, body)
        except InvalidInput:
            continue


@pytest.mark.parametrize(
    ("sdk", "refused"),
    [
        ("perdure/0.1.0", True),
        ("restate-sdk-python/1.3.0", True),
        (None, True),
        ("restate-sdk-typescript/1.17.2", False),
    ],
)
def test_a_schema_that_is_of_what_comes_out_is_not_asked_of_what_comes_in(sdk: str | None, refused: bool) -> None:
    handler = SimpleNamespace(
        service="Echo",
        handler="echo",
        manifest=HandlerManifest(name="echo", input=CLAIM),
        deployment=SimpleNamespace(sdk_version=sdk),
    )
    check = input_check(cast(ResolvedHandler, handler))
    with pytest.raises(InvalidInput) if refused else nullcontext():
        check.check(JSON_TYPE, b'{"amount": "much"}')
    with pytest.raises(InvalidInput, match="not what"):
        check.check("text/plain", b"much")
