"""SQL functions over text and bytes, as DataFusion has them."""

# SQLite's values have no types that a checker could know.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

import base64
import hashlib
import re
from collections.abc import Callable
from functools import lru_cache

from perdure.server.query.problems import BadQuery
from perdure.server.query.values import Value, bytes_of, json_of, text_of

_MADE_CHARS_MAX = 1_000_000


@lru_cache(512)
def _pattern(pattern: str, flags: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE if "i" in flags else 0)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


@lru_cache(512)
def _like_pattern(pattern: str, flags: str, similar: bool) -> re.Pattern[str]:
    wild = {"%": ".*", "_": "."}
    out, escaped = "", False
    for letter in pattern:
        if escaped or (letter not in wild and letter != "\\"):
            out += letter if similar and not escaped else re.escape(letter)
            escaped = False
        elif letter == "\\":
            escaped = True
        else:
            out += wild[letter]
    return re.compile(f"(?:{out})", re.DOTALL | (re.IGNORECASE if "i" in flags else 0))


def like(text: Value, pattern: str | None, flags: str) -> int | None:
    return None if pattern is None else int(_like_pattern(pattern, flags, False).fullmatch(text_of(text)) is not None)


def similar(text: Value, pattern: str | None) -> int | None:
    return None if pattern is None else int(_like_pattern(pattern, "", True).fullmatch(text_of(text)) is not None)


def matches(text: Value, pattern: str | None, flags: str = "") -> int | None:
    return None if pattern is None else int(_pattern(pattern, flags).search(text_of(text)) is not None)


def regexp_replace(text: str, pattern: str, replacement: str, flags: str = "") -> str:
    return _pattern(pattern, flags).sub(replacement, text, count=0 if "g" in flags else 1)


def regexp_match(text: str, pattern: str, flags: str = "") -> str | None:
    found = _pattern(pattern, flags).search(text)
    return None if found is None else json_of(list(found.groups()) or [found.group()])


def split_part(text: str, separator: str, position: int) -> str:
    parts = text.split(separator)
    position = position - 1 if position > 0 else len(parts) + position
    return parts[position] if 0 <= position < len(parts) else ""


def _repeat(text: str, count: int) -> str:
    _check_length("repeat", len(text) * count)
    return text * count


def _pad(text: str, length: int, fill: str, left: bool) -> str:
    _check_length("lpad" if left else "rpad", length)
    missing = max(0, length - len(text))
    padding = (fill * missing)[:missing] if fill else ""
    return (padding + text if left else text + padding)[:length]


def _check_length(function: str, length: int) -> None:
    if length > _MADE_CHARS_MAX:
        raise BadQuery(f"{function} would make a text of {length} characters: {_MADE_CHARS_MAX} is the most")


def translate(text: str, old: str, new: str) -> str:
    return text.translate({ord(letter): new[n] if n < len(new) else None for n, letter in enumerate(old)})


def encode(value: Value, how: str) -> str:
    match how.lower():
        case "hex":
            return bytes_of(value).hex()
        case "base64":
            return base64.b64encode(bytes_of(value)).rstrip(b"=").decode()
        case _:
            raise ValueError(f"encode knows 'hex' and 'base64', not {how!r}")


def decode(value: str, how: str) -> bytes:
    match how.lower():
        case "hex":
            return bytes.fromhex(value)
        case "base64":
            return base64.b64decode(value + "=" * (-len(value) % 4))
        case _:
            raise ValueError(f"decode knows 'hex' and 'base64', not {how!r}")


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "pg_like": like,
    "pg_similar": similar,
    "pg_matches": matches,
    "regexp_replace": regexp_replace,
    "regexp_match": regexp_match,
    "regexp_count": lambda text, pattern: len(_pattern(pattern, "").findall(text)),
    "split_part": split_part,
    "left": lambda text, count: text[:count],
    "right": lambda text, count: text[-count:] if count > 0 else text[abs(count) :] if count else "",
    "lpad": lambda text, length, fill=" ": _pad(text, length, fill, True),
    "rpad": lambda text, length, fill=" ": _pad(text, length, fill, False),
    "reverse": lambda text: text[::-1],
    "repeat": _repeat,
    "initcap": lambda text: text.title(),
    "starts_with": lambda text, start: int(text.startswith(start)),
    "ends_with": lambda text, end: int(text.endswith(end)),
    "translate": translate,
    "to_hex": lambda number: f"{number:x}",
    "md5": lambda value: hashlib.md5(bytes_of(value), usedforsecurity=False).hexdigest(),
    "sha256": lambda value: hashlib.sha256(bytes_of(value)).digest(),
    "pg_encode": encode,
    "pg_decode": decode,
}
