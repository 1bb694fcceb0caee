"""Bodies within their bounds: what is counted, who waits, who is let go."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive

from perdure.errors import TooLarge
from perdure.server.ingress_bodies import Bodies, Body, ClientGone, Room, TooSlow

SCOPE = {"headers": []}


def sender(pieces: Sequence[bytes], ends: bool = True) -> Receive:
    waiting = list(pieces)

    async def receive() -> Message:
        if not waiting:
            assert not ends
            return {"type": "http.disconnect"}
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting) or not ends}

    return receive


async def test_a_body_in_one_piece_takes_no_room() -> None:
    body = await Bodies(10, 10).read(SCOPE, sender([b"0123456789"]))
    assert (body.content, body.large) == (b"0123456789", False)


async def test_a_body_in_pieces_is_gone_after_its_use() -> None:
    bodies = Bodies(10, 10)
    for _ in range(3):  # its room is given back each time
        with await bodies.read(SCOPE, sender([b"01234", b"567"])) as body:
            assert (body.content, body.large) == (b"01234567", True)
        assert body.content == b""


async def test_too_large_too_slow_or_gone_gives_its_room_back() -> None:
    bodies = Bodies(4, 4, idle_s=0.01)

    async def stalls() -> Message:
        if not sent:
            sent.append(1)
            return {"type": "http.request", "body": b"12", "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    sent: list[int] = []
    for _ in range(2):
        with pytest.raises(TooLarge):
            await bodies.read(SCOPE, sender([b"123", b"45"]))
        with pytest.raises(ClientGone):
            await bodies.read(SCOPE, sender([b"123"], ends=False))
        sent.clear()
        with pytest.raises(TooSlow, match="nothing more"):
            await bodies.read(SCOPE, stalls)
    assert (await asyncio.wait_for(bodies.read(SCOPE, sender([b"1", b"2"])), 60)).content == b"12"


async def test_one_body_goes_beyond_and_the_others_wait_in_order() -> None:
    room = Room(10)
    bodies = [Body(b"", room) for _ in range(4)]
    await room.take(bodies[0], 6)
    await room.take(bodies[1], 4)
    await room.take(bodies[0], 6)  # beyond: it must be able to end
    order: list[int] = []

    async def wait(number: int, size: int) -> None:
        await room.take(bodies[number], size)
        order.append(number)

    waiting = [asyncio.create_task(wait(1, 3)), asyncio.create_task(wait(2, 1)), asyncio.create_task(wait(3, 1))]
    await asyncio.sleep(0)
    assert order == []
    waiting[2].cancel()
    room.give_back(bodies[0], 12)
    await asyncio.wait(waiting)
    assert order == [1, 2]
    room.give_back(bodies[1], 7)
    room.give_back(bodies[2], 1)
    await asyncio.wait_for(room.take(bodies[3], 10), 60)
