"""Versions of the service protocol: which we speak, how they are named, what each may use."""

from perdure.errors import RemoteProtocolError

VERSION_MIN = 5
VERSION_MAX = 7

# What first appeared in which version.
FAILURE_METADATA = 6
RANDOM_SEED = 6
FUTURE_TREES = 7
RUN_ACKS = 7
SCOPES = 7

_INVOCATION_PREFIX = "application/vnd.restate.invocation.v"


def content_type(version: int) -> str:
    """The content type of both bodies of an invocation; compared byte for byte by both sides."""
    return f"{_INVOCATION_PREFIX}{version}"


def parse_content_type(value: str) -> int:
    """The version that a content type names.

    Raises:
        RemoteProtocolError: it is not an invocation's content type, or of a version that we do not speak.
    """
    number = value.removeprefix(_INVOCATION_PREFIX)
    if number == value or not number.isdecimal():
        raise RemoteProtocolError(f"content type {value!r} is not {_INVOCATION_PREFIX}N")
    version = int(number)
    if not VERSION_MIN <= version <= VERSION_MAX:
        raise RemoteProtocolError(f"protocol version {version} is not one of {VERSION_MIN} to {VERSION_MAX}")
    return version


def negotiate(peer_min: int, peer_max: int) -> int | None:
    """The highest version that both sides speak; None where there is none."""
    version = min(peer_max, VERSION_MAX)
    return version if version >= max(peer_min, VERSION_MIN) else None
