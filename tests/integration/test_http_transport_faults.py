"""The HTTP transport against a peer that does what it should not: whatever breaks is told once, and nothing hangs."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from h2.errors import ErrorCodes

from perdure.errors import RemoteProtocolError, TransportError
from perdure.protocol.messages import MessageType
from perdure.times import DELAY_MS_MAX
from perdure.transport.http import HttpTransport
from perdure.transport.http_errors import retry_after_ms
from tests.integration.attempts import END, INPUT, OUTPUT, START, frames, open_attempt
from tests.integration.h2_peer import Script, Stream, h2_peer

WaitUntil = Callable[..., Awaitable[None]]
ENDING = [MessageType.OUTPUT, MessageType.END]


async def answers(stream: Stream) -> None:
    stream.head()
    stream.data(frames(OUTPUT, END))
    await stream.ended.wait()
    stream.data(b"", end=True)


async def hangs(stream: Stream) -> None:
    await asyncio.Event().wait()


async def ends_without_a_word(stream: Stream) -> None:
    stream.head()
    stream.data(frames(OUTPUT), end=True)


async def resets(stream: Stream) -> None:
    stream.head()
    stream.data(frames(OUTPUT))
    await stream.until(lambda: bool(stream.received))
    stream.cut(ErrorCodes.INTERNAL_ERROR)


async def refuses_the_stream(stream: Stream) -> None:
    stream.cut(ErrorCodes.REFUSED_STREAM)


async def drops_the_connection(stream: Stream) -> None:
    stream.connection.drop()


async def drops_the_connection_after_the_head(stream: Stream) -> None:
    stream.head()
    stream.data(frames(OUTPUT))
    await stream.until(lambda: bool(stream.received))
    stream.connection.drop()


async def speaks_no_http_2(stream: Stream) -> None:
    stream.connection.writer.write(b"\xff" * 100)


async def goes_away_without_the_stream(stream: Stream) -> None:
    stream.connection.goaway(0)
    stream.connection.writer.close()


async def cuts_a_frame(stream: Stream) -> None:
    stream.head()
    stream.data(frames(OUTPUT, END)[:-3], end=True)


async def sends_an_unknown_type(stream: Stream) -> None:
    stream.head()
    stream.data(frames(OUTPUT) + b"\x00\x99\x00\x00\x00\x00\x00\x00")


async def sends_what_does_not_parse(stream: Stream) -> None:
    stream.head()
    stream.data(b"\x04\x01\x00\x00\x00\x00\x00\x03\xff\xff\xff")


async def announces_4_gigabytes(stream: Stream) -> None:
    stream.head()
    stream.data(b"\x04\x01\x00\x00\xff\xff\xff\xff")


async def adds_a_charset(stream: Stream) -> None:
    stream.head(content_type="application/vnd.restate.invocation.v6; charset=utf-8")
    stream.data(frames(OUTPUT, END), end=True)


def refuses(status: int, **headers: str) -> Script:
    async def script(stream: Stream) -> None:
        stream.head(status, **headers)
        stream.data(b'{"message":\n "said why"}', end=True)

    return script


@pytest.mark.parametrize(
    ("script", "error_class", "says"),
    [
        (resets, TransportError, "reset the stream: INTERNAL_ERROR"),
        (refuses_the_stream, TransportError, "REFUSED_STREAM"),
        (drops_the_connection, TransportError, "broke"),
        (drops_the_connection_after_the_head, TransportError, "broke"),
        (speaks_no_http_2, TransportError, "broke"),
        (goes_away_without_the_stream, TransportError, "127.0.0.1"),
        (cuts_a_frame, RemoteProtocolError, "ended its response within a frame"),
        (sends_an_unknown_type, RemoteProtocolError, "unknown message type 0x0099"),
        (sends_what_does_not_parse, RemoteProtocolError, "does not parse"),
        (announces_4_gigabytes, RemoteProtocolError, "announces 4294967295 bytes"),
        (adds_a_charset, RemoteProtocolError, "charset=utf-8"),
        (refuses(404), TransportError, r"404.*the handler.*\(said why\)"),
        (refuses(415), TransportError, "this version of the service protocol"),
        (refuses(500), TransportError, "an attempt expects 200"),
        (refuses(302, location="http://elsewhere"), TransportError, "302"),
    ],
)
async def test_what_breaks_is_told_once_and_the_next_attempt_works(
    script: Script, error_class: type[Exception], says: str
) -> None:
    async with h2_peer(script) as peer:
        transport = HttpTransport(peer.uri)
        _, error = await open_attempt(transport).result()
        with pytest.raises(error_class, match=says):
            raise error or AssertionError("closed without an error")

        peer.script = answers
        assert await open_attempt(transport).result() == (ENDING, None)
        await transport.close()


async def test_a_peer_that_ends_without_a_terminal_message_is_left_to_the_engine_to_judge() -> None:
    async with h2_peer(ends_without_a_word) as peer:
        transport = HttpTransport(peer.uri)
        assert await open_attempt(transport).result() == ([MessageType.OUTPUT], None)
        await transport.close()


async def test_a_connection_that_goes_away_is_left_while_its_open_streams_go_on() -> None:
    async with h2_peer(answers) as peer:
        transport = HttpTransport(peer.uri)
        old = open_attempt(transport, closes=False)
        await old.news.wait()
        peer.connections[0].goaway(1)
        while await open_attempt(transport).result() and len(peer.connections) == 1:
            pass  # the client has not read the GOAWAY yet
        assert not old.over.is_set()

        old.sender.close()
        assert await old.result() == (ENDING, None)
        await transport.close()


@pytest.mark.parametrize("status", [429, 503])
async def test_a_peer_says_when_to_come_again(status: int) -> None:
    async with h2_peer(refuses(status, retry_after="7")) as peer:
        transport = HttpTransport(peer.uri)
        _, error = await open_attempt(transport).result()
        assert isinstance(error, TransportError)
        assert error.retry_after_ms == 7000
        await transport.close()


def test_retry_after_is_read_in_both_its_forms() -> None:
    now = datetime(2026, 11, 21, 9, tzinfo=UTC)
    now_s = now.timestamp()
    assert retry_after_ms(format_datetime(now + timedelta(hours=1), usegmt=True), now_s) == 3_600_000
    assert retry_after_ms(format_datetime(now - timedelta(days=1), usegmt=True), now_s) == 0
    assert retry_after_ms("soon", now_s) is None
    assert retry_after_ms("9" * 15, now_s) == retry_after_ms("9" * 5_000, now_s) == DELAY_MS_MAX
    assert retry_after_ms(None, now_s) is None


async def test_a_head_that_never_comes_is_an_error_and_new_attempts_take_another_connection() -> None:
    async with h2_peer(hangs) as peer:
        transport = HttpTransport(peer.uri, head_timeout_s=2)
        _, error = await open_attempt(transport).result()
        assert "no response head within 2 s" in str(error)

        peer.script = answers
        assert await open_attempt(transport).result() == (ENDING, None)
        assert len(peer.connections) == 2
        await transport.close()


async def asks_for_calm(stream: Stream) -> None:
    stream.cut(ErrorCodes.ENHANCE_YOUR_CALM)


@pytest.mark.parametrize("script", [announces_4_gigabytes, asks_for_calm])
async def test_a_connection_with_a_dropped_response_is_left(script: Script) -> None:
    async with h2_peer(script) as peer:
        transport = HttpTransport(peer.uri)
        _, error = await open_attempt(transport).result()
        assert error is not None

        peer.script = answers
        assert await open_attempt(transport).result() == (ENDING, None)
        assert len(peer.connections) == 2
        await transport.close()


async def test_a_head_that_is_late_leaves_the_streams_beside_it_alone() -> None:
    async with h2_peer(answers) as peer:
        transport = HttpTransport(peer.uri, head_timeout_s=2)
        beside = open_attempt(transport, closes=False)
        await beside.news.wait()
        peer.script = hangs
        _, error = await open_attempt(transport).result()
        assert isinstance(error, TransportError)

        beside.sender.close()
        assert await beside.result() == (ENDING, None)
        await transport.close()


async def test_a_peer_that_has_the_whole_request_may_take_its_time(wait_until: WaitUntil) -> None:
    async def answers_when_told(stream: Stream) -> None:
        await go.wait()
        await answers(stream)

    go = asyncio.Event()
    async with h2_peer(answers_when_told) as peer:
        transport = HttpTransport(peer.uri, head_timeout_s=0.1)
        attempt = open_attempt(transport)
        attempt.sender.close()
        another = open_attempt(HttpTransport(peer.uri, head_timeout_s=0.3))
        await another.result()  # which was due later than the first
        go.set()
        assert await attempt.result() == (ENDING, None)
        await transport.close()


@pytest.mark.parametrize("script", [hangs, answers])
async def test_an_abort_resets_the_stream_and_nothing_more_is_heard(script: Script, wait_until: WaitUntil) -> None:
    async with h2_peer(script) as peer:
        transport = HttpTransport(peer.uri)
        attempt = open_attempt(transport, closes=False)
        await wait_until(lambda: bool(peer.streams) and peer.streams[0].received, "the peer has the request")
        if script is answers:
            await attempt.news.wait()
        attempt.sender.abort()
        attempt.sender.send(INPUT)
        attempt.sender.close()
        attempt.sender.abort()
        await wait_until(lambda: peer.streams[0].reset is not None, "the peer sees a reset")
        assert not peer.streams[0].ended.is_set(), "an abort must not look like the request to suspend"
        assert peer.streams[0].received == frames(START, INPUT)
        await transport.close()
        assert attempt.closed_with == []


async def test_an_abort_from_within_a_message_stops_the_ones_behind_it(wait_until: WaitUntil) -> None:
    async with h2_peer(answers) as peer:
        transport = HttpTransport(peer.uri)
        attempt = open_attempt(transport, closes=False)
        record = attempt.message
        attempt.message = lambda envelope: (record(envelope), attempt.sender.abort())[0]  # type: ignore[method-assign]
        await attempt.news.wait()
        await wait_until(lambda: peer.streams[0].reset is not None, "the peer sees a reset")
        assert attempt.types == [MessageType.OUTPUT]
        assert attempt.closed_with == []
        await transport.close()


async def test_closing_the_transport_tells_every_open_attempt_and_leaves_no_task(wait_until: WaitUntil) -> None:
    async with h2_peer(hangs) as peer:
        transport = HttpTransport(peer.uri)
        attempts = [open_attempt(transport) for _ in range(3)]
        await wait_until(lambda: len(peer.streams) == 3, "the peer has the requests")
        await transport.close()
        for attempt in attempts:
            _, error = await attempt.result()
            assert isinstance(error, TransportError)
        await wait_until(lambda: not tasks_of_the_client(), "the client's tasks end")


def tasks_of_the_client() -> list[str]:
    names = [str(task.get_coro()) for task in asyncio.all_tasks()]
    return [name for name in names if "HttpAttempt" in name or "forward" in name]


async def test_nothing_listening_is_said_in_a_sentence() -> None:
    transport = HttpTransport("http://127.0.0.1:9")
    _, error = await open_attempt(transport).result()
    assert str(error) == "nothing listens at http://127.0.0.1:9/invoke/Echo/echo: is `perdure serve` running there?"
    await transport.close()
