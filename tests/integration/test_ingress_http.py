"""The ingress over real sockets: each answer as existing clients of the open interface expect it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import msgspec
import pytest

from perdure.engine.answers import Failure
from perdure.engine.config import EngineConfig
from perdure.engine.events import Target
from perdure.protocol.discovery import HandlerManifest
from perdure.protocol.ids import awakeable_id, new_invocation_id, parse_invocation_id
from tests.integration.server_fixtures import Served, serve
from tests.unit.server.fake_engine import CLAIM, MANIFEST, FakeEngine

LIMIT = 64 * 1024
AWAKEABLE = awakeable_id(parse_invocation_id(new_invocation_id()), 17)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(FakeEngine(EngineConfig(body_bytes_max=LIMIT))) as served:
        yield served


def assert_refused(response: httpx.Response, status: int, *says: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["x-restate-error-source"] == "ingress"
    body = response.json()
    assert body["code"] == status
    assert body["source"] == "ingress"
    for words in says:
        assert words in body["message"]


async def test_a_call_answers_with_the_output_and_the_invocation(served: Served) -> None:
    response = await served.ingress.post("/Echo/echo", content=b'{"a": 1}', headers={"X-Tenant": "t1"})
    assert response.status_code == 200
    assert response.content == b'{"a": 1}'
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-restate-id"].startswith("inv_1")
    asked = served.engine.asked[0]
    assert asked.target == Target("Echo", "echo")
    assert asked.headers[0] == ("x-restate-ingress-path", "/Echo/echo")
    assert ("x-tenant", "t1") in asked.headers
    assert not {"host", "connection"} & {name for name, _ in asked.headers}


async def test_query_parameters_of_its_own_go_to_the_handler(served: Served) -> None:
    own = "/Echo/echo/send?display=all&limit=3&token=a&token=b"
    assert (await served.ingress.post(own)).status_code == 202
    assert served.engine.asked[0].headers[0] == ("x-restate-ingress-path", own)


async def test_an_empty_output_has_no_content_type_unless_the_handler_wants_one(served: Served) -> None:
    nothing = await served.ingress.post("/Echo/nothing")
    assert nothing.status_code == 200
    assert nothing.content == b""
    assert "content-type" not in nothing.headers
    raw = await served.ingress.post("/Echo/raw")
    assert raw.headers["content-type"] == "application/octet-stream"


async def test_get_calls_with_an_empty_input(served: Served) -> None:
    assert (await served.ingress.get("/Echo/echo")).status_code == 200
    assert served.engine.asked[0].body == b""


@pytest.mark.parametrize("path", ["/Cart/a%2Fb%20c/add", "/restate/call/Cart/a%2Fb%20c/add"])
async def test_the_key_comes_decoded(served: Served, path: str) -> None:
    assert (await served.ingress.post(path)).status_code == 200
    assert served.engine.asked[0].target == Target("Cart", "add", "a/b c")


@pytest.mark.parametrize("path", ["/Echo/echo/send?delay=PT10S", "/restate/send/Echo/echo?delay=10%20sec"])
async def test_a_delayed_send_says_when_it_is_due(served: Served, path: str) -> None:
    response = await served.ingress.post(path, content=b"1")
    assert response.status_code == 202
    body = response.json()
    assert body["status"] == "Accepted"
    assert body["invocationId"] == response.headers["x-restate-id"]
    assert body["executionTime"] == "2027-01-15T08:00:00.007000000Z"
    assert served.engine.asked[0].delay_ms == 10_000


async def test_a_send_with_a_known_idempotency_key_was_accepted_before(served: Served) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = (await served.ingress.post("/Echo/echo/send", headers=headers)).json()
    again = (await served.ingress.post("/Echo/echo/send", headers=headers)).json()
    assert first == {"invocationId": first["invocationId"], "status": "Accepted"}
    assert again == {"invocationId": first["invocationId"], "status": "PreviouslyAccepted"}
    assert served.engine.asked[0].idempotency_key == "k1"
    assert "idempotency-key" not in dict(served.engine.asked[0].headers)


async def test_a_failed_invocation_answers_with_its_code(served: Served) -> None:
    served.engine.failure = Failure(418, "no tea", {"pot": "empty"})
    response = await served.ingress.post("/Echo/fail")
    assert response.status_code == 418
    assert response.headers["x-restate-error-source"] == "invocation"
    assert response.headers["x-restate-id"]
    expected = {"code": 418, "message": "no tea", "source": "invocation", "metadata": {"pot": "empty"}}
    assert response.json() == expected


@pytest.mark.parametrize("code", [0, 42, 200, 302, 1000])
async def test_a_failure_code_that_is_no_http_error_answers_500_and_keeps_the_code(served: Served, code: int) -> None:
    served.engine.failure = Failure(code, "odd")
    response = await served.ingress.post("/Echo/fail")
    assert response.status_code == 500
    assert response.json()["code"] == code


async def test_a_workflow_called_again_conflicts_and_names_the_first(served: Served) -> None:
    first = await served.ingress.post("/Signup/k1/run")
    again = await served.ingress.post("/Signup/k1/run")
    assert (first.status_code, again.status_code) == (200, 409)
    assert again.headers["x-restate-id"] == first.headers["x-restate-id"]
    attached = await served.ingress.get("/restate/workflow/Signup/k1/attach")
    assert attached.status_code == 200


async def test_a_bug_of_ours_is_not_shown(served: Served) -> None:
    response = await served.ingress.post("/Echo/burst")
    assert_refused(response, 500, "internal error")
    assert "private" not in response.text
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("POST", "/Absent/run", 404, "What exists: Cart/add"),
        ("POST", "/Echo/eco", 404, "Did you mean Echo/echo?"),
        ("POST", "/MultiAgentClaimApproval/session123/run", 404, "POST /MultiAgentClaimApproval/run"),
        ("POST", "/MultiAgentClaimApproval/user123/run", 404, "is a service without keys"),
        ("POST", "/Cart/add", 404, "POST /Cart/{key}/add"),
        ("POST", "/restate/nothing", 404, "awakeables"),
        ("POST", "/Echo/secret", 400, "private"),
        ("POST", "/", 400, "bad path"),
        ("GET", "/health", 400, "/restate/health"),
        ("POST", "/Cart/%zz/add", 400, "bad path"),
        ("POST", "/Cart/%ff/add", 400, "bad path"),
        ("POST", "/Echo/echo?delay=1s", 400, "only with sends"),
        ("POST", "/Echo/echo/send?delay=soon", 400, "bad delay"),
        ("POST", "/Echo/echo/send?delay=", 400, "bad delay"),
        ("POST", "/Echo/echo/send?delay=%ff", 400, "malformed"),
        ("POST", "/Echo/echo/send?dealy=1h", 400, "no query parameter 'dealy': did you mean delay?"),
        ("POST", "/Echo/echo/send?delay_ms=100", 400, "did you mean delay?"),
        ("POST", "/Echo/echo?limitKey=a", 400, "did you mean limit-key?"),
        ("POST", "/Echo/echo/send?delay=1h&delay=2s", 400, "delay is there 2 times"),
        ("PUT", "/Echo/echo", 405, "POST, GET"),
        ("DELETE", "/restate/health", 405, "GET"),
        ("GET", f"/restate/awakeables/{AWAKEABLE}/resolve", 405, "POST"),
        ("POST", "/restate/awakeables/foo/resolve", 400, "not an awakeable id"),
        ("POST", "/restate/a/sign_1Aa/reject", 400, "not an awakeable id"),
        ("GET", "/restate/attach/inv_1foo", 400, "not an invocation id"),
        ("GET", f"/restate/output/{new_invocation_id()}", 404, "no invocation"),
    ],
)
async def test_what_cannot_be_served_is_refused_with_what_to_do(
    served: Served, method: str, path: str, status: int, says: str
) -> None:
    # Through httpx's raw target, since it would mend broken escapes.
    url = httpx.URL(served.server.ingress_url).copy_with(raw_path=path.encode())
    assert_refused(await served.ingress.request(method, url), status, says)


async def test_an_empty_idempotency_key_is_refused(served: Served) -> None:
    assert_refused(await served.ingress.post("/Echo/echo", headers={"idempotency-key": ""}), 400, "empty")


async def test_a_workflows_run_takes_no_idempotency_key_but_its_shared_handlers_do(served: Served) -> None:
    headers = {"idempotency-key": "k"}
    assert_refused(await served.ingress.post("/Signup/k1/run", headers=headers), 400, "workflow")
    assert (await served.ingress.post("/Signup/k1/status", headers=headers)).status_code == 200


async def test_a_body_that_does_not_fit_is_refused_with_the_place(served: Served) -> None:
    claim = "/restate/call/MultiAgentClaimApproval/run"
    assert (await served.ingress.post(claim, json={"amount": 3000})).status_code == 200
    assert_refused(await served.ingress.post(claim, json={"amount": "x"}), 400, "$.amount")
    assert_refused(await served.ingress.post(claim), 400, "needs a body")
    assert_refused(await served.ingress.post(claim, data={"amount": 1}), 400, "--json")
    as_json = {"content-type": "application/json"}
    assert_refused(await served.ingress.post(claim, content=b'{"amount":', headers=as_json), 400, "not JSON")
    assert_refused(await served.ingress.post("/Echo/nothing", json={}), 400, "takes no body")
    assert len(served.engine.asked) == 1


async def test_a_body_above_the_limit_is_refused_however_it_comes(served: Served) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * (LIMIT // 2)

    assert_refused(await served.ingress.post("/Echo/echo", content=b"x" * (LIMIT + 1)), 413, str(LIMIT))
    assert_refused(await served.ingress.post("/Echo/echo", content=pieces()), 413, str(LIMIT))
    assert (await served.ingress.post("/Echo/echo", content=b"x" * LIMIT)).status_code == 200
    assert len(served.engine.asked) == 1


async def test_an_announced_length_above_the_limit_is_refused_before_the_body_comes(served: Served) -> None:
    url = httpx.URL(served.server.ingress_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"POST /Echo/echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 999999999999\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()
    await writer.wait_closed()


async def test_awakeables_are_resolved_and_rejected_by_their_id(served: Served) -> None:
    resolved = await served.ingress.post(f"/restate/awakeables/{AWAKEABLE}/resolve", content=b'"yes"')
    rejected = await served.ingress.post(f"/restate/a/{AWAKEABLE}/reject", content="geht nicht: ä")
    for response in (resolved, rejected):
        assert (response.status_code, response.content) == (202, b"")
    assert served.engine.told == [("resolve", AWAKEABLE, b'"yes"'), ("reject", AWAKEABLE, "geht nicht: ä", 500)]
    assert_refused(await served.ingress.post(f"/restate/a/{AWAKEABLE}/reject", content=b"\xff"), 400, "not UTF-8")


async def test_output_is_not_ready_while_the_invocation_runs(served: Served) -> None:
    accepted = (await served.ingress.post("/Echo/raw/send", headers={"idempotency-key": "k"})).json()
    output = await served.ingress.get(f"/restate/output/{accepted['invocationId']}")
    assert_refused(output, 470, "not ready")
    headers = {"idempotency-key": "k", "content-type": "application/octet-stream"}
    await served.ingress.post("/Echo/raw", content=b"\x01\x02", headers=headers)
    for path in (
        f"/restate/output/{accepted['invocationId']}",
        f"/restate/invocation/{accepted['invocationId']}/attach",
        "/restate/invocation/Echo/raw/k/output",
    ):
        response = await served.ingress.get(path)
        assert (response.status_code, response.content) == (200, b"\x01\x02")
        assert response.headers["content-type"] == "application/octet-stream"


async def test_attach_waits_for_what_runs(served: Served) -> None:
    accepted = (await served.ingress.post("/Echo/raw/send")).json()
    served.engine.release.set()
    response = await served.ingress.get(f"/restate/attach/{accepted['invocationId']}")
    assert (response.status_code, response.content) == (200, b"attached")
    assert served.engine.described == []  # why it waits takes its whole journal to say, and nobody asked


async def test_health_names_the_services_once_the_engine_is_ready(served: Served) -> None:
    response = await served.ingress.get("/restate/health")
    assert response.status_code == 200
    assert response.json() == {"services": ["Cart", "Echo", "MultiAgentClaimApproval", "Signup"]}
    served.engine.started = False
    for path in ("/restate/health", "/Echo/echo", "/Absent/run"):
        response = await served.ingress.get(path)
        assert_refused(response, 503, "starting")
        assert response.headers["retry-after"] == "1"


async def test_a_stopping_engine_asks_to_come_back(served: Served) -> None:
    served.engine.stopping = True
    response = await served.ingress.post("/Echo/echo")
    assert_refused(response, 503, "stopping")
    assert response.headers["retry-after"]


async def test_a_client_that_goes_away_stops_nothing(
    served: Served, wait_until: Callable[..., Awaitable[None]]
) -> None:
    async def ask_and_leave() -> None:
        await served.ingress.post("/Echo/hang", content=b"1")

    asking = asyncio.create_task(ask_and_leave())
    await wait_until(lambda: len(served.engine.asked) == 1, "the call has reached the engine")
    asking.cancel()
    await asyncio.wait([asking])
    served.engine.release.set()
    await wait_until(lambda: all(served.engine.outcomes.values()), "the call has ended although nobody waits")


async def test_a_client_that_goes_away_within_its_body_asked_for_nothing(
    served: Served, wait_until: Callable[..., Awaitable[None]]
) -> None:
    url = httpx.URL(served.server.ingress_url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"POST /Echo/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await served.ingress.get("/restate/health")).status_code == 200
    assert served.engine.asked == []


async def test_any_web_page_may_call(served: Served) -> None:
    origin = {"origin": "http://app.example"}
    preflight = await served.ingress.options(
        "/Echo/echo",
        headers={**origin, "access-control-request-method": "POST", "access-control-request-headers": "x-a, x-b"},
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-methods"] == "POST"
    assert preflight.headers["access-control-allow-headers"] == "x-a, x-b"
    called = await served.ingress.post("/Echo/echo", headers=origin)
    assert called.headers["access-control-allow-origin"] == "*"
    refused = await served.ingress.post("/Absent/run", headers=origin)
    assert refused.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in (await served.ingress.post("/Echo/echo")).headers


async def test_a_handler_that_is_registered_anew_is_checked_by_its_new_manifest(served: Served) -> None:
    assert (await served.ingress.post("/Echo/echo", content=b"x")).status_code == 200
    echo = next(service for service in MANIFEST.services if service.name == "Echo")
    others = [handler for handler in echo.handlers if handler.name != "echo"]
    service = msgspec.structs.replace(echo, handlers=[HandlerManifest(name="echo", input=CLAIM), *others])
    served.engine.deploy("http://second:9080", msgspec.structs.replace(MANIFEST, services=[service]))
    assert_refused(await served.ingress.post("/Echo/echo", json={}), 400, "amount")
