"""A service endpoint as a bare ASGI app, without an SDK: what any server gives an SDK, and nothing else.

`Echo/echo` answers at once, `Echo/wait` once a notification has come; both end after the request does.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.discovery import HandlerManifest, Manifest, ServiceManifest, content_type, encode_manifest
from perdure.protocol.frames import FrameDecoder
from perdure.protocol.messages import encode, envelope, is_notification

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

ANSWER = encode(envelope(pb.OutputCommandMessage(value=pb.Value(content=b'"hello"')))) + encode(
    envelope(pb.EndMessage())
)
# A command that the peer can see before the answer, so that a test knows that the stream is open.
OPENED = encode(envelope(pb.SleepCommandMessage(result_completion_id=1)))


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return
    if scope["path"] == "/discover":
        await _discover(scope, send)
    elif scope["path"].startswith("/invoke/Echo/"):
        await _invoke(scope, receive, send)
    else:
        await _respond(send, 404, b"text/plain", b"")


async def _discover(scope: Scope, send: Send) -> None:
    manifest = Manifest(
        protocol_mode="REQUEST_RESPONSE" if scope["http_version"] == "1.1" else "BIDI_STREAM",
        min_protocol_version=5,
        max_protocol_version=7,
        services=[
            ServiceManifest(
                name="Echo", ty="SERVICE", handlers=[HandlerManifest(name="echo"), HandlerManifest(name="wait")]
            )
        ],
    )
    await _respond(send, 200, content_type(4).encode(), encode_manifest(manifest, 4))


async def _invoke(scope: Scope, receive: Receive, send: Send) -> None:
    expected = dict(scope["headers"])[b"content-type"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", expected)]})
    if scope["path"].endswith("/wait"):
        await send({"type": "http.response.body", "body": OPENED, "more_body": True})
    decoder, answered, more = FrameDecoder(), False, True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        more = event.get("more_body", False)
        frames = decoder.feed(event.get("body", b""))
        ready = scope["path"].endswith("/echo") or any(is_notification(frame.type) for frame in frames)
        if ready and frames and not answered:
            answered = True
            await send({"type": "http.response.body", "body": ANSWER, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _respond(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type)]})
    await send({"type": "http.response.body", "body": body, "more_body": False})
