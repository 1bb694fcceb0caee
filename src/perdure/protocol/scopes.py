"""Scopes and limit keys: the names under which invocations are counted against limits, and how they are spelled.

A scope is part of an invocation's identity. A limit key has one or two levels, `a` or `a/b`, counts within its scope,
and is no part of the identity.
"""

import re

from perdure.errors import UsageError

LEVEL = "[a-zA-Z0-9_.-]{1,36}"
"""A scope, or one level of a limit key, as a regular expression of Python and of JSON Schema."""

_LEVEL = re.compile(LEVEL)
_ALLOWED = "1 to 36 letters, digits, `_`, `.` and `-`"


def check_scope(scope: str | None, limit_key: str | None) -> None:
    """Raises `UsageError` where a scope or a limit key is malformed, or the key has no scope."""
    if scope is not None and not _LEVEL.fullmatch(scope):
        raise UsageError(f"bad scope {scope[:100]!r}: a scope is {_ALLOWED} (RT0024)")
    if limit_key is None:
        return
    if scope is None:
        raise UsageError(f"limit key {limit_key[:100]!r} without a scope: a limit key belongs to one (RT0024)")
    levels = limit_key.split("/")
    if len(levels) > 2 or not all(_LEVEL.fullmatch(level) for level in levels):
        raise UsageError(f"bad limit key {limit_key[:100]!r}: `level` or `level/level`, each {_ALLOWED} (RT0024)")
