"""Frames: the envelope of every message between engine and service.

    | type u16 | flags u16 | payload length u32 | payload (protobuf) ...      big endian

Source of facts: service protocol, section "Message header".
"""

import struct

from msgspec import Struct

from perdure.errors import RemoteProtocolError

HEADER = struct.Struct(">HHI")
REQUESTED_ACK = 0x8000
# Above the ingress's body limit (32 MiB), so that whatever was let in also fits into a frame with its headers.
PAYLOAD_BYTES_MAX = 33 * 1024 * 1024


class Frame(Struct, frozen=True, gc=False):
    """One message as it is on the wire, its payload not yet looked at."""

    type: int
    payload: bytes
    flags: int = 0

    def encode(self) -> bytes:
        return HEADER.pack(self.type, self.flags, len(self.payload)) + self.payload


class FrameDecoder:
    """Cuts a byte stream, received in pieces of any size, into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending_bytes(self) -> int:
        """Bytes of a frame that has begun and is not complete; above 0 at the end of a stream, it was cut."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by `data`, oldest first; none is a normal answer.

        Raises:
            RemoteProtocolError: a frame announces more than `PAYLOAD_BYTES_MAX`. The stream is of no more use.
        """
        self._buffer += data
        frames: list[Frame] = []
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            type, flags, length = HEADER.unpack_from(self._buffer, start)
            if length > PAYLOAD_BYTES_MAX:
                raise RemoteProtocolError(
                    f"frame {type:#06x} announces {length} bytes of payload, the limit is {PAYLOAD_BYTES_MAX}"
                )
            end = start + HEADER.size + length
            if len(self._buffer) < end:
                break
            frames.append(Frame(type, bytes(self._buffer[start + HEADER.size : end]), flags))
            start = end
        del self._buffer[:start]
        return frames
