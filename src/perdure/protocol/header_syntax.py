"""How headers of HTTP are spelled: which names and values can be sent."""

import re

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, token
_NOT_IN_VALUES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # control characters but the tab


def is_header_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def is_header_value(text: str) -> bool:
    """Whether it has no line break, nor another control character."""
    return _NOT_IN_VALUES.search(text) is None
