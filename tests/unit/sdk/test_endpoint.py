"""The endpoint by itself: what it takes, its lifespan, and what it does when the process is to end."""

import asyncio
import signal
from collections.abc import MutableMapping
from typing import Any

import msgspec
import pytest

import perdure
from perdure.errors import DeploymentRejected, UnknownTarget, UsageError
from perdure.protocol.messages import Envelope
from perdure.protocol.versions import content_type
from perdure.sdk.endpoint import Endpoint
from perdure.transport.connection import InvokeRequest
from perdure.transport.in_process import InProcessTransport


def greeter() -> perdure.Service:
    service = perdure.Service("Greeter")

    @service.handler()
    async def greet(ctx: perdure.Context, name: str) -> str:
        return f"hello {name}"

    return service


class Asked:
    """One request to an ASGI app, and its answer."""

    def __init__(self, *events: MutableMapping[str, Any]) -> None:
        self.incoming: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self.events: list[MutableMapping[str, Any]] = []
        for event in events:
            self.incoming.put_nowait(event)

    async def send(self, event: MutableMapping[str, Any]) -> None:
        self.events.append(event)

    @property
    def status(self) -> int:
        return self.events[0]["status"]

    @property
    def json(self) -> Any:
        return msgspec.json.decode(b"".join(event.get("body", b"") for event in self.events))


async def ask(app: Endpoint, path: str, http_version: str = "2", **headers: str) -> Asked:
    asked = Asked({"type": "http.request", "body": b"", "more_body": False})
    scope = {
        "type": "http",
        "http_version": http_version,
        "path": path,
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    await app(scope, asked.incoming.get, asked.send)
    return asked


async def test_services_are_kept_for_whoever_was_given_the_app() -> None:
    service = greeter()
    app = perdure.app([service])
    assert isinstance(app, perdure.Endpoint)
    assert app.services == [service]
    assert app.handler("Greeter", "greet").target == "Greeter/greet"
    assert perdure.Endpoint().bind(service).services == [service]


def test_what_cannot_be_served_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="two services are named 'Greeter'"):
        perdure.app([greeter(), greeter()])
    with pytest.raises(UsageError, match="is not a service"):
        perdure.app([greeter])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="protocol is 'h3'"):
        perdure.app([greeter()], protocol="h3")  # type: ignore[arg-type]
    with pytest.raises(DeploymentRejected, match="reserved"):
        perdure.app([perdure.Service("openapi")])
    with pytest.raises(DeploymentRejected, match="does not match"):
        perdure.app([perdure.Service("no spaces")])


@pytest.mark.parametrize("refused", [perdure.Service("openapi"), greeter()])
def test_a_service_that_is_refused_is_not_bound_nor_are_those_beside_it(refused: perdure.Service) -> None:
    app = perdure.app([greeter()])
    with pytest.raises((DeploymentRejected, UsageError)):
        app.bind(perdure.Service("Other"), refused)
    assert [service.name for service in app.services] == ["Greeter"]
    app.bind(perdure.Service("Other"))
    assert [service.name for service in app.manifest().services] == ["Greeter", "Other"]


def test_an_unknown_handler_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownTarget, match="Did you mean Greeter/greet"):
        perdure.app([greeter()]).handler("Greeter", "great")


@pytest.mark.parametrize(
    ("protocol", "http_version", "mode"),
    [
        (None, "1.1", "REQUEST_RESPONSE"),
        (None, "1.0", "REQUEST_RESPONSE"),
        (None, "2", "BIDI_STREAM"),
        ("bidi", "1.1", "BIDI_STREAM"),
        ("request_response", "2", "REQUEST_RESPONSE"),
    ],
)
async def test_the_http_version_decides_unless_it_is_forced(protocol: Any, http_version: str, mode: str) -> None:
    app = perdure.app([greeter()], protocol=protocol)
    assert (await ask(app, "/any/prefix/discover", http_version)).json["protocolMode"] == mode


async def test_an_option_that_the_manifest_version_lacks_is_refused_by_name() -> None:
    app = perdure.app([perdure.Service("Private", ingress_private=True)])
    asked = await ask(app, "/discover", accept="application/vnd.restate.endpointmanifest.v2+json")
    assert asked.status == 500
    assert "ingressPrivate" in asked.json["message"]


async def test_after_shutdown_new_attempts_are_told_to_come_back_later() -> None:
    app = perdure.app([greeter()])
    app.shutdown()
    asked = await ask(app, "/invoke/Greeter/greet", content_type=content_type(7))
    assert asked.status == 503
    assert (b"retry-after", b"1") in asked.events[0]["headers"]
    assert (await ask(app, "/health")).status == 200


async def test_the_lifespan_ends_with_a_shutdown_and_can_begin_again() -> None:
    app = perdure.app([greeter()])
    for _ in range(2):
        asked = Asked({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
        await app({"type": "lifespan"}, asked.incoming.get, asked.send)
        assert [event["type"] for event in asked.events] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]
        assert (await ask(app, "/invoke/Greeter/greet", content_type=content_type(7))).status == 503


async def test_sigterm_shuts_down_and_goes_on_to_the_server() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        app = perdure.app([greeter()])
        await ask(app, "/health")
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert heard == [signal.SIGTERM]
        assert (await ask(app, "/invoke/Greeter/greet", content_type=content_type(7))).status == 503
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, interrupt)


async def test_a_signal_that_the_process_ignores_shuts_nothing_down() -> None:
    terminate, interrupt = signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        app = perdure.app([greeter()])
        await ask(app, "/health")
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked = await ask(app, "/invoke/Greeter/greet", content_type="nonsense")
        assert asked.status == 415, "it takes attempts"
    finally:
        signal.signal(signal.SIGTERM, terminate)
        signal.signal(signal.SIGINT, interrupt)


async def test_websockets_are_no_way_in() -> None:
    with pytest.raises(UsageError, match="websocket"):
        await perdure.app([])({"type": "websocket"}, asyncio.Queue[Any]().get, Asked().send)


async def test_it_opens_attempts_for_an_engine_in_the_same_process() -> None:
    app = perdure.app([greeter()])
    transport = InProcessTransport(app.manifest(), app.open_attempt)

    class Engine:
        def message(self, envelope: Envelope) -> None: ...

        def closed(self, error: Exception | None) -> None: ...

    request = InvokeRequest(service="Greeter", handler="greet", version=7, invocation_id="inv_1")
    transport.open(request, Engine()).abort()
    assert (await transport.discover()).services[0].name == "Greeter"
