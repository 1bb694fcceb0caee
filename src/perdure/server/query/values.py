"""Values as SQLite holds them, and as the functions of queries read them."""

from typing import Any

import msgspec

Value = Any  # what SQLite holds: None, int, float, str or bytes


def bytes_of(value: Value) -> bytes:
    return value if isinstance(value, bytes) else text_of(value).encode()


def text_of(value: Value) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def json_of(value: object) -> str:
    return msgspec.json.encode(value).decode()
