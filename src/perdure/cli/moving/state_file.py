"""What a file of `perdure export` holds: an object a line, in JSON.

    {"service":"Cart","key":"ann","state":{"item":"\\"a lamp\\""},"state_base64":{"picture":"/9j/4A=="}}

`state` has the values that are text, `state_base64` the others; `scope` is there if the object is in one.
"""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from perdure.errors import UsageError


class ObjectName(Struct, frozen=True, order=True):
    """Which object or workflow. `scope` is empty for most."""

    service: str
    key: str
    scope: str = ""

    def __str__(self) -> str:
        return f"{self.service}/{self.key}" + (f" in scope {self.scope}" if self.scope else "")


State = dict[str, bytes]
"""All that an object remembers, by name."""


class _Line(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    service: str
    key: str
    scope: str = ""
    state: dict[str, str] = {}
    state_base64: State = {}


def encode(name: ObjectName, state: State) -> bytes:
    """An object's line."""
    text: dict[str, str] = {}
    binary: State = {}
    for entry, value in sorted(state.items()):
        try:
            text[entry] = value.decode()
        except UnicodeDecodeError:
            binary[entry] = value
    return msgspec.json.encode(_Line(name.service, name.key, name.scope, text, binary)) + b"\n"


def decode(lines: Iterable[bytes]) -> Iterator[tuple[ObjectName, State]]:
    """The objects of a file, one after the other; empty lines are left out.

    Raises:
        UsageError: a line is something else, or was cut off.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            read = msgspec.json.decode(line, type=_Line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UsageError(f"line {number} is no object that `perdure export` wrote: {error}") from error
        yield (
            ObjectName(read.service, read.key, read.scope),
            {k: v.encode() for k, v in read.state.items()} | read.state_base64,
        )
