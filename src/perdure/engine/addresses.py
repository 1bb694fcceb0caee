"""How a service endpoint is reached, and the one spelling of its address."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from msgspec import Struct

from perdure.errors import UsageError
from perdure.protocol.header_syntax import is_header_name, is_header_value

EMBEDDED_URI = "inproc://embedded"

_NOT_IN_HOST_NAMES = re.compile(r"[\x00-\x20\x7f!\"#$%&'()*+,/:;<=>?@\[\\\]^`{|}]")
_PORT = re.compile(r":\d*$", re.ASCII)
_PORTS = {"http": 80, "https": 443}


class Address(Struct, frozen=True):
    """Where an endpoint listens, and what each request to it needs."""

    uri: str
    use_http_11: bool = False
    additional_headers: Mapping[str, str] = {}


def check_address(address: Address) -> Address:
    """The address with the one spelling of its URI.

    Raises:
        UsageError: nothing can be reached there, or with these headers.
    """
    uri = normal_uri(address.uri)
    if uri == EMBEDDED_URI:
        raise UsageError(f"uri: {uri} is this engine's own: its services are given to `perdure up`")
    _check_headers(address.additional_headers)
    return Address(uri, address.use_http_11, address.additional_headers)


def normal_uri(uri: str) -> str:
    """The one spelling of an endpoint's address: lower-case host, only a port that says something, no query, `/` as
    the shortest path.

    Raises:
        UsageError: it is not an http or https address; the message says what is wrong with it.
    """
    if uri == EMBEDDED_URI:
        return uri
    try:
        parts = urlsplit(uri if "://" in uri else f"http://{uri}")
        _check_parts(parts)
    except ValueError as error:
        raise UsageError(
            f"uri: {uri!r} is not the address of a service endpoint ({error}): expected something like http://host:9080"
        ) from error
    user, at, place = parts.netloc.rpartition("@")
    host = _PORT.sub("", place).lower()
    port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
    return urlunsplit((parts.scheme, user + at + host + port, parts.path.rstrip("/") or "/", "", ""))


def _check_parts(parts: SplitResult) -> None:
    """Raises `ValueError` where an HTTP client could not even try to connect."""
    if parts.scheme not in _PORTS:
        raise ValueError("neither http nor https")
    host = parts.hostname
    if not host:
        raise ValueError("it names no host")
    _ = parts.port  # read for its ValueError
    if "[" in parts.netloc:
        if IPv6Address(host).scope_id:
            raise ValueError("an address of IPv6 has no zone here")
    elif _NOT_IN_HOST_NAMES.search(host):
        raise ValueError(f"{host!r} is no host name")
    elif host.rstrip(".").rpartition(".")[2].isdecimal():
        IPv4Address(host)


def _check_headers(headers: Mapping[str, str]) -> None:
    """Raises `UsageError` for what cannot be sent. Values are not shown: they may be secrets."""
    for name, value in headers.items():
        if not is_header_name(name):
            raise UsageError(f"additional_headers: {name!r} is no header name: letters, digits and `-` make one")
        if not is_header_value(value):
            raise UsageError(f"additional_headers: the value of {name!r} has a line break or another control character")
