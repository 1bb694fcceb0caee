"""An endpoint with identity keys: strangers get 401 and the reason, whatever they send; health is for everybody."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import perdure
from perdure.errors import UsageError
from perdure.protocol.identity import SCHEME_HEADER, TOKEN_HEADER, SigningKey
from perdure.protocol.versions import content_type
from tests.unit.sdk.test_endpoint import Asked, greeter

NOW = 1_800_000_000
KEY = SigningKey.new()
DISCOVER, INVOKE = "/discover", "/invoke/Greeter/greet"


def endpoint(*keys: str) -> perdure.Endpoint:
    return perdure.Endpoint([greeter()], identity_keys=keys or [KEY.identity_key], clock=lambda: NOW + 0.5)


async def ask(app: perdure.Endpoint, path: str, headers: dict[str, str], body: bytes = b"") -> Asked:
    asked = Asked({"type": "http.request", "body": body, "more_body": False})
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "2",
        "path": path,
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in {"accept": "*/*", "content-type": content_type(6), **headers}.items()
        ],
    }
    await app(scope, asked.incoming.get, asked.send)
    return asked


def signature(path: str, now_s: int = NOW, key: SigningKey = KEY) -> dict[str, str]:
    return dict(key.headers(path, now_s))


@pytest.mark.parametrize("prefix", ["", "/mounted/here"])
async def test_what_a_known_engine_signed_is_taken_under_any_prefix(prefix: str) -> None:
    assert (await ask(endpoint(), prefix + DISCOVER, signature(DISCOVER))).status == 200
    assert (await ask(endpoint(), prefix + DISCOVER + "/", signature(DISCOVER))).status == 200
    assert (await ask(endpoint(), prefix + INVOKE, signature(INVOKE))).status == 200


@pytest.mark.parametrize("path", [DISCOVER, INVOKE])
@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (lambda path: {}, "not signed"),
        (lambda path: {SCHEME_HEADER: "unsigned"}, "not signed"),
        (lambda path: {SCHEME_HEADER: "v1"}, TOKEN_HEADER),
        (lambda path: {SCHEME_HEADER: "v1", TOKEN_HEADER: "nonsense"}, "no JSON web token"),
        (lambda path: signature(path, NOW - 61), "expired 1 s ago"),
        (lambda path: signature(path, NOW + 61), "valid in 1 s"),
        (lambda path: signature(path, key=SigningKey.new()), "not signed by an engine that this service knows"),
        (lambda path: signature("/invoke/Greeter/other"), "was signed for"),
    ],
)
async def test_everything_else_gets_401_and_the_reason(path: str, headers: Any, said: str) -> None:
    asked = await ask(endpoint(), path, headers(path))
    assert asked.status == 401
    assert asked.json["code"] == 401
    assert said in asked.json["message"]


async def test_a_stranger_does_not_learn_which_handlers_there_are() -> None:
    assert (await ask(endpoint(), "/invoke/Greeter/nothing", {})).status == 401
    assert (await ask(endpoint(), "/invoke/Nobody/nothing", {"content-type": "text/plain"})).status == 401
    assert (await ask(endpoint(), "/discover", {"accept": "text/html"})).status == 401


async def test_health_is_for_everybody() -> None:
    assert (await ask(endpoint(), "/health", {})).status == 200


async def test_without_identity_keys_whoever_asks_is_answered() -> None:
    for app in (perdure.app([greeter()]), perdure.app([greeter()], identity_keys=[])):
        assert (await ask(app, DISCOVER, {})).status == 200
        assert (await ask(app, INVOKE, {SCHEME_HEADER: "v1", TOKEN_HEADER: "nonsense"})).status == 200


async def test_keys_are_added() -> None:
    second = SigningKey.new()
    app = endpoint().identity_key(second.identity_key, KEY.identity_key)
    assert app.identity_keys == [KEY.identity_key, second.identity_key]
    for key in (KEY, second):
        assert (await ask(app, INVOKE, signature(INVOKE, key=key))).status == 200


async def test_the_environment_has_keys_for_those_whose_code_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    second = SigningKey.new()
    monkeypatch.setenv("PERDURE_IDENTITY_KEYS", f" {KEY.identity_key}, {second.identity_key}\n")
    assert perdure.app([greeter()]).identity_keys == [KEY.identity_key, second.identity_key]
    assert (await ask(perdure.app([greeter()]), DISCOVER, {})).status == 401
    assert perdure.app([greeter()], identity_keys=[second.identity_key]).identity_keys == [second.identity_key]
    monkeypatch.setenv("PERDURE_IDENTITY_KEYS", "secret")
    with pytest.raises(UsageError, match=r"^PERDURE_IDENTITY_KEYS: 'secret' is no identity key"):
        perdure.app([greeter()])


def test_what_is_no_key_is_refused_when_the_endpoint_is_made() -> None:
    with pytest.raises(UsageError, match="'secret' is no identity key"):
        perdure.app([greeter()], identity_keys=["secret"])
    with pytest.raises(UsageError, match="is a string"):
        perdure.app([greeter()], identity_keys=KEY.identity_key)


TEXT = st.text(st.characters(max_codepoint=255))
HEADER_SETS = st.fixed_dictionaries(
    {}, optional={SCHEME_HEADER: st.just("v1") | TEXT, TOKEN_HEADER: TEXT | st.just(KEY.token("/another", NOW))}
)


@given(path=st.sampled_from([DISCOVER, INVOKE, "/x/invoke/Nobody/knows"]), headers=HEADER_SETS, body=st.binary())
async def test_garbage_gets_401_and_never_500(path: str, headers: dict[str, str], body: bytes) -> None:
    asked = await ask(endpoint(), path, headers, body)
    assert asked.status == 401
    assert asked.json["message"]
