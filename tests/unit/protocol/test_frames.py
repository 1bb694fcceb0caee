"""Frames: any cut gives the same frames; what cannot be a frame is an error, and never a hang."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import RemoteProtocolError
from perdure.protocol.frames import HEADER, PAYLOAD_BYTES_MAX, REQUESTED_ACK, Frame, FrameDecoder

frames = st.builds(
    Frame, type=st.integers(0, 0xFFFF), payload=st.binary(max_size=64), flags=st.sampled_from([0, REQUESTED_ACK])
)


@given(st.lists(frames), st.data())
def test_frames_survive_any_cut(sent: list[Frame], data: st.DataObject) -> None:
    stream, decoder, received = b"".join(frame.encode() for frame in sent), FrameDecoder(), list[Frame]()
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        received += decoder.feed(stream[:cut])
        stream = stream[cut:]
    assert received == sent
    assert decoder.pending_bytes == 0


@given(frames, st.data())
def test_a_cut_stream_gives_nothing_and_says_that_something_is_missing(frame: Frame, data: st.DataObject) -> None:
    whole = frame.encode()
    kept = data.draw(st.integers(1, len(whole) - 1))
    decoder = FrameDecoder()
    assert decoder.feed(whole[:kept]) == []
    assert decoder.pending_bytes == kept


@given(st.binary(max_size=256))
def test_any_bytes_are_frames_or_a_protocol_error(garbage: bytes) -> None:
    decoder = FrameDecoder()
    with suppress(RemoteProtocolError):
        found = decoder.feed(garbage)
        assert sum(HEADER.size + len(frame.payload) for frame in found) + decoder.pending_bytes == len(garbage)


def test_a_frame_is_type_flags_and_length_in_big_endian() -> None:
    assert Frame(0x0411, bytes.fromhex("5801620473696465")).encode().hex() == "04110000000000085801620473696465"
    assert Frame(0x0005, b"", REQUESTED_ACK).encode().hex() == "0005800000000000"


def test_reserved_flag_bits_are_ignored() -> None:
    assert FrameDecoder().feed(HEADER.pack(3, 0x7FFF, 0)) == [Frame(3, b"", 0x7FFF)]


def test_a_payload_of_just_the_limit_passes() -> None:
    payload = bytes(PAYLOAD_BYTES_MAX)
    assert FrameDecoder().feed(Frame(0x0401, payload).encode()) == [Frame(0x0401, payload)]


def test_an_oversized_frame_is_refused_by_its_header_before_its_payload_comes() -> None:
    with pytest.raises(RemoteProtocolError, match=f"0x0401 announces {PAYLOAD_BYTES_MAX + 1} bytes"):
        FrameDecoder().feed(HEADER.pack(0x0401, 0, PAYLOAD_BYTES_MAX + 1))
