"""The process that runs queries, one at a time: started by `queries`, ended by it or with it.

It talks over its standard input and output in frames: a length of four bytes, then a list in MessagePack whose first
item says what it is. What a query costs in time, memory and Python's lock, this process pays; the engine pays for what
it is asked: copies of its memory, and the sentences of `waiting_reason`.
"""

import os
import resource
import sys
import traceback
from typing import Any, BinaryIO

import msgspec

from perdure.server.query.problems import BadQuery
from perdure.server.query.reading import StoreView
from perdure.server.query.results import ArrowEncoder, JsonEncoder
from perdure.server.query.translation import translate

_NICE = 10
_LENGTH = 4


class _Pipe:
    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def read(self) -> list[Any] | None:
        """None once the other side is gone."""
        head = self._incoming.read(_LENGTH)
        if len(head) < _LENGTH:
            return None
        return msgspec.msgpack.decode(self._incoming.read(int.from_bytes(head, "big")))

    def write(self, *items: object) -> None:
        payload = msgspec.msgpack.encode(items)
        self._outgoing.write(len(payload).to_bytes(_LENGTH, "big") + payload)
        self._outgoing.flush()

    def ask(self, *items: object) -> Any:
        self.write(*items)
        answer = self.read()
        if answer is None:
            raise SystemExit
        return answer[0]


def _answer(
    pipe: _Pipe, view: StoreView, sql: str, now_ms: int, as_json: bool, named: bool, rows_max: int, bytes_max: int
) -> None:
    translated = translate(sql, now_ms)
    if translated.live:
        view.take_live(pipe.ask("need", translated.live))
    encoder = JsonEncoder(translated.outputs, named=named) if as_json else ArrowEncoder(translated.outputs)
    rows = size = 0
    for batch in view.batches(translated.sql, translated.reasons):
        rows += len(batch)
        part = encoder.rows(batch)
        size += len(part)
        if rows > rows_max:
            raise BadQuery(
                f"the result has more than {rows_max} rows, the limit "
                "(rows_max of QueryLimits): add a LIMIT, or raise it"
            )
        if size > bytes_max:
            raise BadQuery(
                f"the result is larger than {bytes_max} bytes, the limit "
                "(bytes_max of QueryLimits): ask for less, or raise it"
            )
        pipe.write("part", part)
    pipe.write("part", encoder.end())
    pipe.write("done", rows)


def serve(path: str, memory_bytes: int) -> None:
    """Until the other side closes its end."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    os.nice(_NICE)
    pipe = _Pipe(sys.stdin.buffer, sys.stdout.buffer)
    view = StoreView(path, lambda numbers: pipe.ask("reasons", numbers))
    while (asked := pipe.read()) is not None:
        try:
            _answer(pipe, view, *asked)
        except BadQuery as error:
            pipe.write("bad", str(error))
        except (MemoryError, RecursionError):
            pipe.write(
                "bad", "the query needs more memory than queries may have (memory_bytes of QueryLimits): narrow it"
            )
        except Exception:  # noqa: BLE001 - the edge: a bug of ours, which the engine logs; it then ends this process
            pipe.write("bug", traceback.format_exc())


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
