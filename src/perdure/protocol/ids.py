"""Ids: made, written and read. `inv_` names an invocation, `dp_` a deployment, `sign_` an awakeable.

An invocation id is 24 bytes: a partition key of 8 and a unique part of 16. The invocations of one object key share
the first 8. The text form reads each part as a little-endian number and writes it in base 62, digits first.
Source of facts: service protocol, section "Invocation id".
"""

import hashlib
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NewType

from perdure.errors import UsageError

InvocationId = NewType("InvocationId", str)
DeploymentId = NewType("DeploymentId", str)

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]  # two digits at a time: ids are on the hot path
_DIGITS = {letter: digit for digit, letter in enumerate(_ALPHABET)}
_KEY_BYTES = 8
_UNIQUE_BYTES = 16
_RAW_BYTES = _KEY_BYTES + _UNIQUE_BYTES
_POOL_BYTES = 4096
_KEY_DIGITS = 11
_UNIQUE_DIGITS = 22

CANCEL_SIGNAL = 1
FIRST_AWAKEABLE_SIGNAL = 17  # 2 to 15 are reserved by the protocol, 16 is skipped


def _base62(number: int, width: int) -> str:
    pairs: list[str] = []
    while number:
        number, pair = divmod(number, 62 * 62)
        pairs.append(_PAIRS[pair])
    return "".join(reversed(pairs)).lstrip("0").rjust(width, "0")


def _from_base62(text: str, size: int) -> bytes:
    number = 0
    for letter in text:
        number = number * 62 + _DIGITS[letter]
    return number.to_bytes(size, "little")


def invocation_id(raw: bytes) -> InvocationId:
    """The text form of the 24 bytes."""
    key = _base62(int.from_bytes(raw[:_KEY_BYTES], "little"), _KEY_DIGITS)
    unique = _base62(int.from_bytes(raw[_KEY_BYTES:], "little"), _UNIQUE_DIGITS)
    return InvocationId(f"inv_1{key}{unique}")


def parse_invocation_id(text: str) -> bytes:
    """The 24 bytes of a text form.

    Raises:
        UsageError: it is not an invocation id.
    """
    digits = text.removeprefix("inv_1")
    if len(digits) != _KEY_DIGITS + _UNIQUE_DIGITS or digits == text:
        raise UsageError(
            f"{text!r} is not an invocation id: `inv_1` and {_KEY_DIGITS + _UNIQUE_DIGITS} letters or digits"
        )
    try:
        return _from_base62(digits[:_KEY_DIGITS], _KEY_BYTES) + _from_base62(digits[_KEY_DIGITS:], _UNIQUE_BYTES)
    except (KeyError, OverflowError) as error:
        raise UsageError(f"{text!r} is not an invocation id: it holds what base 62 cannot") from error


class _Pool:
    """Random bytes of the system, many at a time: a system call an id is a twentieth of what an invocation costs."""

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        self._bytes = b""
        self._taken = 0

    def take(self, size: int) -> bytes:
        if self._taken + size > len(self._bytes):
            self._bytes, self._taken = secrets.token_bytes(_POOL_BYTES), 0
        self._taken += size
        return self._bytes[self._taken - size : self._taken]


_POOL = _Pool()
os.register_at_fork(after_in_child=_POOL.empty)  # or parent and child would make the same ids


def new_invocation_id(partition: str | None = None) -> InvocationId:
    """A fresh id. With `partition` (the object key), the first 8 bytes are the same for each such call."""
    raw = _POOL.take(_RAW_BYTES)
    return invocation_id(raw if partition is None else _hash(partition, _KEY_BYTES) + raw[_KEY_BYTES:])


def workflow_invocation_id(service: str, key: str, scope: str | None = None) -> InvocationId:
    """The id of a workflow's one main invocation."""
    parts = ["wf", service, key] if scope is None else ["wf@", scope, service, key]
    return invocation_id(_hash(scope or key, _KEY_BYTES) + _hash(",".join(parts), _UNIQUE_BYTES))


def idempotent_invocation_id(
    service: str, key: str | None, handler: str, idempotency_key: str, scope: str | None = None
) -> InvocationId:
    """The id that all requests with this idempotency key to this target share."""
    parts = [part for part in (service, key, handler, idempotency_key) if part is not None]
    if scope is None:  # then the first bytes tell apart what commas in keys do not
        parts, partition = ["ik", *parts], idempotency_key if key is None else key
    else:
        parts, partition = ["ik@", scope, *map(_escaped, parts)], scope
    return invocation_id(_hash(partition, _KEY_BYTES) + _hash(",".join(parts), _UNIQUE_BYTES))


def scheduled_invocation_id(schedule_id: str, at_ms: int, partition: str | None = None) -> InvocationId:
    """The id of what a schedule starts for a time; `partition` as in `new_invocation_id`."""
    return invocation_id(
        _hash(partition or schedule_id, _KEY_BYTES) + _hash(f"sch,{schedule_id},{at_ms}", _UNIQUE_BYTES)
    )


def _escaped(part: str) -> str:
    """A part that can be told from the next when a comma lies between them."""
    return part.replace("\\", "\\\\").replace(",", "\\,")


def _hash(text: str, size: int) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:size]


def random_seed(raw: bytes) -> int:
    """The seed of an invocation's random numbers: stable over its attempts, 64 bits."""
    return int.from_bytes(hashlib.sha256(b"seed" + raw).digest()[:8], "big")


def new_deployment_id() -> DeploymentId:
    return DeploymentId("dp_1" + _base62(int.from_bytes(secrets.token_bytes(_UNIQUE_BYTES), "little"), _UNIQUE_DIGITS))


def awakeable_id(raw_invocation_id: bytes, signal: int) -> str:
    """The id to hand to the outside world: it names the invocation and the signal by itself, so needs no table."""
    raw = raw_invocation_id + signal.to_bytes(4, "big")
    return "sign_1" + urlsafe_b64encode(raw).rstrip(b"=").decode()


def parse_awakeable_id(text: str) -> tuple[InvocationId, int]:
    """Invocation and signal that an awakeable id names; the older prefix `prom_1` is read too.

    Raises:
        UsageError: it is not an awakeable id. One of a signal that the protocol reserves is none: anybody who has an
            invocation's id could make it up, and it would cancel.
    """
    encoded = text.removeprefix("sign_1").removeprefix("prom_1")
    try:
        raw = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except ValueError as error:
        raise UsageError(f"{text!r} is not an awakeable id: it is not base64url") from error
    if len(raw) != _RAW_BYTES + 4 or encoded == text:
        raise UsageError(f"{text!r} is not an awakeable id: `sign_1` and {_RAW_BYTES + 4} bytes in base64url")
    signal = int.from_bytes(raw[_RAW_BYTES:], "big")
    if signal < FIRST_AWAKEABLE_SIGNAL:
        raise UsageError(f"{text!r} is not an awakeable id: signal {signal} is the protocol's own")
    return invocation_id(raw[:_RAW_BYTES]), signal
