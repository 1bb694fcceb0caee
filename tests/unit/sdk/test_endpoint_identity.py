"""An endpoint with identity keys: strangers get 401 and the reason, whatever they send; health is for everybody."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import perdure
from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.identity import SCHEME_HEADER, TOKEN_HEADER, SigningKey
from perdure.protocol.messages import encode, envelope
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
    for app in (perdure.app([greeter()]), perdure.app([greeter()], identity_keys=None)):
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


@pytest.mark.parametrize("value", ["", " ", ",", " , \n"])
def test_a_variable_without_a_key_in_it_does_not_open_the_door(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """What a secret that was not injected looks like."""
    monkeypatch.setenv("PERDURE_IDENTITY_KEYS", value)
    with pytest.raises(UsageError, match=r"^PERDURE_IDENTITY_KEYS is set, and names no key: unset it to serve every"):
        perdure.app([greeter()])
    assert perdure.app([greeter()], identity_keys=[KEY.identity_key]).identity_keys == [KEY.identity_key]


def test_neither_does_a_list_without_a_key_in_it() -> None:
    for keys in ([], (), iter(())):
        with pytest.raises(UsageError, match="identity_keys names no key: leave it out, or pass None"):
            perdure.app([greeter()], identity_keys=keys)
    with pytest.raises(UsageError, match="'' is no identity key"):
        perdure.app([greeter()], identity_keys=[""])


def test_what_is_no_key_is_refused_when_the_endpoint_is_made() -> None:
    with pytest.raises(UsageError, match="'secret' is no identity key"):
        perdure.app([greeter()], identity_keys=["secret"])
    with pytest.raises(UsageError, match="is a string"):
        perdure.app([greeter()], identity_keys=KEY.identity_key)


# ---- the object's key ----

KEYS = ["ann", "", "a/b c", "100%41", "a%2Fb", "a+b", "ü", "\u65e5\u672c", "a\nb", "..", "{}\"'\\", "\U0001f600"]


def counter() -> perdure.VirtualObject:
    service = perdure.VirtualObject("Counter")

    @service.handler()
    async def add(ctx: perdure.ObjectContext) -> str:
        return ctx.key()

    return service


async def ask_for(*, signed_for: str | None, named: str | None, started: str) -> tuple[Asked, str]:
    """An attempt at `Counter/add`, whose token, head and Start name a key each; with all that was answered."""
    app = perdure.Endpoint([counter()], identity_keys=[KEY.identity_key], clock=lambda: NOW)
    path = "/invoke/Counter/add"
    headers = dict(KEY.headers(path, NOW, signed_for))
    if named is not None:
        headers["x-restate-service-key"] = quote(named, safe="")
    start = pb.StartMessage(id=b"x" * 24, debug_id="inv_1x", known_entries=1, key=started)
    messages = [envelope(start), envelope(pb.InputCommandMessage(value=pb.Value(content=b"")))]
    asked = await ask(app, path, headers, b"".join(encode(message) for message in messages))
    return asked, b"".join(event.get("body", b"") for event in asked.events).decode(errors="replace")


@pytest.mark.parametrize("key", KEYS)
async def test_a_request_for_the_key_that_it_is_signed_for_is_taken(key: str) -> None:
    for signed_for, named in ((key, key), (key, None), (None, key), (None, None)):
        asked, said = await ask_for(signed_for=signed_for, named=named, started=key)
        assert asked.status == 200
        assert json.dumps(key, ensure_ascii=False) in said


@pytest.mark.parametrize("key", KEYS)
async def test_a_request_for_another_key_is_not(key: str) -> None:
    asked, said = await ask_for(signed_for=key, named="bob", started="bob")
    assert asked.status == 401
    assert "the request is for the key 'bob', and was signed for the key" in said


@pytest.mark.parametrize(("signed_for", "named"), [("ann", "ann"), ("ann", None), (None, "ann"), ("", "")])
async def test_nor_is_a_body_for_another_key(signed_for: str | None, named: str | None) -> None:
    """The body is not signed: the handler's key is in it."""
    asked, said = await ask_for(signed_for=signed_for, named=named, started="bob")
    assert asked.status == 200
    assert f"the request is for the key {(signed_for or named or '')!r}, and Start for 'bob'" in said
    assert '"bob"' not in said


TEXT = st.text(st.characters(max_codepoint=255))
HEADER_SETS = st.fixed_dictionaries(
    {}, optional={SCHEME_HEADER: st.just("v1") | TEXT, TOKEN_HEADER: TEXT | st.just(KEY.token("/another", NOW))}
)


@given(path=st.sampled_from([DISCOVER, INVOKE, "/x/invoke/Nobody/knows"]), headers=HEADER_SETS, body=st.binary())
async def test_garbage_gets_401_and_never_500(path: str, headers: dict[str, str], body: bytes) -> None:
    asked = await ask(endpoint(), path, headers, body)
    assert asked.status == 401
    assert asked.json["message"]
