"""Scopes and limit keys: the names under which invocations are counted against limits, and how they are spelled.

A scope is part of an invocation's identity. A limit key has one or two levels, `a` or `a/b`, counts within its scope,
and is no part of the identity.
"""

import re

from perdure.errors import UsageError

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,36}")
_ALLOWED = "expected 1 to 36 characters of a-z, A-Z, 0-9, _, . and -"


def check_scope(scope: str) -> str:
    """The scope itself. Raises `UsageError` where it is not one."""
    if not _NAME.fullmatch(scope):
        raise UsageError(f"bad scope: {scope[:100]!r}, {_ALLOWED}")
    return scope


def check_limit_key(limit_key: str, scope: str | None) -> str:
    """The limit key itself. Raises `UsageError` where it is not one, or has no scope to count in."""
    levels = limit_key.split("/")
    if len(levels) > 2 or not all(_NAME.fullmatch(level) for level in levels):
        raise UsageError(
            f"bad limit key: {limit_key[:100]!r}, expected one or two levels, `a` or `a/b`, each: {_ALLOWED}"
        )
    if scope is None:
        raise UsageError(f"the limit key {limit_key!r} needs a scope to count in: /restate/scope/{{scope}}/call/...")
    return limit_key
