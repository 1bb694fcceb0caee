"""What the ingress's paths ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.engine.events import Target
from perdure.errors import UnknownTarget, UsageError
from perdure.protocol.discovery import HandlerManifest, ServiceManifest
from perdure.protocol.ids import idempotent_invocation_id, workflow_invocation_id
from perdure.server.ingress_paths import (
    Asked,
    AskedAwakeable,
    AskedCall,
    AskedHealth,
    AskedResult,
    NoSuchPath,
    parse_path,
)
from tests.unit.server.fake_engine import MANIFEST, FakeEngine

SERVICES = {service.name: service for service in MANIFEST.services}
TARGETS = FakeEngine().registry.public_targets()


def ask(path: str | bytes) -> Asked:
    return parse_path(path.encode() if isinstance(path, str) else path, SERVICES.get, lambda: TARGETS)


@pytest.mark.parametrize(
    ("path", "target", "send"),
    [
        ("/Echo/echo", Target("Echo", "echo"), False),
        ("/Echo/echo/", Target("Echo", "echo"), False),
        ("/Echo/echo/send", Target("Echo", "echo"), True),
        ("/Cart/k1/add", Target("Cart", "add", "k1"), False),
        ("/Cart/k1/add/send", Target("Cart", "add", "k1"), True),
        ("/Cart/send/send", Target("Cart", "send", "send"), False),
        ("/Cart/send/send/send", Target("Cart", "send", "send"), True),
        ("/Cart/a%2Fb%20%C3%A9/add", Target("Cart", "add", "a/b é"), False),
        ("/Cart/a+b/add", Target("Cart", "add", "a+b"), False),
        ("/restate/call/Echo/echo", Target("Echo", "echo"), False),
        ("/restate/send/Echo/echo", Target("Echo", "echo"), True),
        ("/restate/call/Cart/k1/add", Target("Cart", "add", "k1"), False),
        ("/restate/send/Cart/k1/send", Target("Cart", "send", "k1"), True),
        ("/Echo/absent", Target("Echo", "absent"), False),
    ],
)
def test_calls_and_sends(path: str, target: Target, send: bool) -> None:
    assert ask(path) == AskedCall(target, send)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/restate/health", AskedHealth()),
        ("/restate/awakeables/sign_1x/resolve", AskedAwakeable("sign_1x", "resolve")),
        ("/restate/a/sign_1x/reject", AskedAwakeable("sign_1x", "reject")),
        ("/restate/attach/inv_1x", AskedResult("inv_1x", "attach")),
        ("/restate/output/inv_1x", AskedResult("inv_1x", "output")),
        ("/restate/invocation/inv_1x/attach", AskedResult("inv_1x", "attach")),
        (
            "/restate/invocation/Echo/echo/key-1/output",
            AskedResult(idempotent_invocation_id("Echo", None, "echo", "key-1"), "output"),
        ),
        (
            "/restate/invocation/Cart/k1/add/key-1/attach",
            AskedResult(idempotent_invocation_id("Cart", "k1", "add", "key-1"), "attach"),
        ),
        ("/restate/workflow/Signup/k1/attach", AskedResult(workflow_invocation_id("Signup", "k1"), "attach")),
    ],
)
def test_what_lies_under_the_reserved_prefix(path: str, asked: Asked) -> None:
    assert ask(path) == asked


def test_a_key_for_a_plain_service_is_answered_with_the_right_path() -> None:
    with pytest.raises(NoSuchPath) as raised:
        ask("/MultiAgentClaimApproval/session123/run")
    assert "MultiAgentClaimApproval is a service without keys: POST /MultiAgentClaimApproval/run" in str(raised.value)
    assert raised.value.http_status == 404


@pytest.mark.parametrize("path", ["/Cart/add", "/restate/call/Cart/add", "/Cart/k/add/more", "/Signup/run"])
def test_a_wrong_number_of_segments_is_answered_with_the_right_paths(path: str) -> None:
    with pytest.raises(NoSuchPath, match=r"POST /(Cart/\{key\}/add|Signup/\{key\}/run)"):
        ask(path)


@pytest.mark.parametrize("path", ["/Echo/a/b/c", "/Echo/secret/a/b", "/restate/call/Echo/secret/a"])
def test_right_paths_are_told_of_public_handlers_only(path: str) -> None:
    with pytest.raises(NoSuchPath, match="POST /Echo/echo, POST /Echo/nothing, ") as raised:
        ask(path)
    assert "/Echo/secret" not in str(raised.value).removeprefix(f"no {path}: ")


def test_no_path_of_a_private_service_is_told() -> None:
    locker = ServiceManifest(name="Locker", ty="SERVICE", handlers=[HandlerManifest(name="open", ingress_private=True)])
    with pytest.raises(UnknownTarget) as raised:
        parse_path(b"/Locker/x/y/z", {"Locker": locker}.get, lambda: TARGETS)
    assert str(raised.value).startswith("no Locker/x in any deployment. What exists: Cart/add, ")


def test_an_unknown_service_is_answered_with_what_exists() -> None:
    with pytest.raises(UnknownTarget, match="Cart/add"):
        ask("/Absent/run")
    with pytest.raises(UnknownTarget, match="Did you mean Cart/add"):
        ask("/Cat/add")


@pytest.mark.parametrize("path", ["/", "", "/Echo", "/health", "//", "/restate"])
def test_a_path_too_short_to_name_a_handler_is_a_bad_path(path: str) -> None:
    with pytest.raises(UsageError, match="bad path"):
        ask(path)


@pytest.mark.parametrize("path", [b"/Cart/a%zz/add", b"/Cart/a%/add", b"/Cart/%FF/add", b"/Cart/\xc3\xa9/add"])
def test_broken_encoding_is_a_bad_path(path: bytes) -> None:
    with pytest.raises(UsageError, match="bad path"):
        ask(path)


words = st.sampled_from(
    [
        "restate",
        "call",
        "send",
        "awakeables",
        "invocation",
        "workflow",
        "attach",
        "output",
        "Echo",
        "Cart",
        "echo",
        "add",
        "",
    ]
)


@given(st.lists(words | st.text(max_size=8)).map(lambda parts: "/" + "/".join(parts)) | st.binary(max_size=60))
def test_any_path_means_something_or_gives_a_reason(path: str | bytes) -> None:
    try:
        asked = ask(path)
    except UsageError:
        return
    assert isinstance(asked, Asked)
