"""Whatever comes in over the wire, both ports answer with a reason: no 500, no traceback, no hang."""

import asyncio
import re

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.engine.answers import Failure
from perdure.server.app import HttpServer
from tests.integration.server_fixtures import ANY_PORTS
from tests.unit.server.fake_engine import FakeEngine

EXPECTED = {b"200", b"201", b"202", b"400", b"404", b"405", b"409", b"413", b"415", b"418", b"470"}

_loop = asyncio.new_event_loop()  # one loop and server for all examples: hypothesis's tests are not coroutines
_servers: list[HttpServer] = []

methods = st.just(b"POST") | st.sampled_from(
    [b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"HEAD", b"PATCH", b"CONNECT", b"TRACE", b"BREW"]
)
WORDS = (
    "Echo Cart Signup MultiAgentClaimApproval restate call send a attach output invocation workflow health echo "
    "nothing raw fail run add resolve reject deployments services handlers invocations kill "
    "%zz %00 %ff %F0%9F%90%8D .. *"
)
segments = st.sampled_from([b"", *WORDS.encode().split()])
wild = st.binary(max_size=12).map(lambda raw: re.sub(rb"[\r\n ]", b"_", raw))
PATHS = (
    "/Echo/echo /Echo/nothing /Echo/raw/send /Echo/fail /Cart/k/add /Signup/k/run /MultiAgentClaimApproval/run "
    "/restate/call/Cart/%00/add /restate/send/Echo/raw /restate/health /restate/a/sign_1AAAA/resolve "
    "/restate/workflow/Signup/k/output /restate/invocation/Echo/raw/k1/output /deployments /services/Cart/handlers"
)
paths = (
    st.sampled_from(PATHS.encode().split())
    | st.lists(segments | wild, max_size=6).map(lambda parts: b"/" + b"/".join(parts))
    | wild
)
queries = st.just(b"") | st.sampled_from(
    [b"", b"?delay=1s", b"?delay=PT1S", b"?delay=%ff", b"?delay=x&delay=1s", b"?\xff", b"?" + b"&" * 300]
)
names = st.sampled_from(
    [b"idempotency-key", b"content-type", b"X-Any", b"origin", b"expect", b"x-restate-ingress-path"]
)
values = (
    st.sampled_from([b"", b"application/json", b"application/json; charset=\xff", b"100-continue", b"k1", b"*/*"])
    | wild
)
headers = st.lists(st.tuples(names, values), max_size=4)
bodies = st.sampled_from([b"", b"{}", b'{"amount": 1}', b'{"amount": "x"}', b"[" * 5000, b"\xff"]) | st.binary(
    max_size=80
)


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 3).map(bool),
    st.lists(st.tuples(methods, paths, queries, headers, bodies, st.booleans()), min_size=1, max_size=3),
)
def test_any_request_gets_an_answer_with_a_reason(
    to_ingress: bool,
    requests: list[tuple[bytes, bytes, bytes, list[tuple[bytes, bytes]], bytes, bool]],
) -> None:
    async def send_all() -> None:
        url = httpx.URL(_servers[0].ingress_url if to_ingress else _servers[0].admin_url)
        for method, path, query, extra, body, chunked in requests:
            reader, writer = await asyncio.open_connection(url.host, url.port)
            head = [method + b" " + path + query + b" HTTP/1.1", b"host: x", b"connection: close"]
            head += [name + b": " + value for name, value in extra]
            if chunked:
                head.append(b"transfer-encoding: chunked")
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
            else:
                head.append(b"content-length: %d" % len(body))
            writer.write(b"\r\n".join(head) + b"\r\n\r\n" + body)
            answer = await asyncio.wait_for(reader.read(), timeout=60)
            writer.close()
            statuses = re.findall(rb"^HTTP/1.1 (\d+)", answer, re.MULTILINE)
            assert statuses, answer
            assert statuses[-1] in EXPECTED, answer
            assert b"Traceback" not in answer

    _loop.run_until_complete(send_all())


def setup_module() -> None:
    engine = FakeEngine()
    engine.failure = Failure(418, "as the test wants it")
    server = HttpServer(engine, ANY_PORTS)
    _loop.run_until_complete(server.start())
    _servers.append(server)


def teardown_module() -> None:
    _loop.run_until_complete(_servers.pop().stop())
    _loop.close()
