"""Rules: patterns, and the limits that they set on what matches them. The book of them says which holds for a lane.

A pattern names a scope (`openai`), a limit key in it (`openai/alice`, `openai/alice/mail`), a `service:Name`, a
`handler:Service/name`, or a `deployment:dp_...`. `*` stands for any one name, and gives each its own budget. Of the
rules that match the same thing, the one that spells out most holds alone, the earlier names before the later ones.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import TypeAlias

import msgspec
from msgspec import Struct

from perdure.engine.flow.lanes import Lane
from perdure.errors import Conflict, UsageError
from perdure.protocol.scopes import LEVEL

RULE = "rule"
"""The kind of settings as which rules are stored."""
ANY = "*"
PATTERNS = "`scope`, `scope/key`, `scope/key/key`, `service:Name`, `handler:Service/name` or `deployment:dp_...`"
_SCOPE_LEVEL = re.compile(rf"{LEVEL}|\*")
_NAME = re.compile(r"[^/*\s]{1,255}|\*")
_COUNT_MAX = 2**31 - 1
_PERIOD_MS_MAX = 366 * 24 * 60 * 60 * 1000
_DESCRIPTION_MAX = 1024


class Level(IntEnum):
    """What a limit is set on, from what is shared by most to what is shared by fewest."""

    ENGINE = 0
    DEPLOYMENT = 1
    SERVICE = 2
    HANDLER = 3
    SCOPE = 4
    KEY = 5
    SUBKEY = 6


_PREFIXES = {"deployment": Level.DEPLOYMENT, "service": Level.SERVICE, "handler": Level.HANDLER}
_NAMES_OF = {Level.DEPLOYMENT: 1, Level.SERVICE: 1, Level.HANDLER: 2}


class Rate(Struct, frozen=True, forbid_unknown_fields=True):
    """At most `permits` invocations begin in `per_ms`; after a pause, `burst` of them at once (else `permits`)."""

    permits: int
    per_ms: int = 1000
    burst: int | None = None

    @property
    def at_once(self) -> int:
        return self.permits if self.burst is None else self.burst


class Limits(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a rule limits; None is no limit.

    `concurrency`: how many run at once; 0 holds all back. `rate`: how often one begins.
    `backlog`: how many wait to begin before more from outside are refused (429).
    """

    concurrency: int | None = None
    rate: Rate | None = None
    backlog: int | None = None


class Rule(Struct, frozen=True, omit_defaults=True):
    """One rule as it stands in the book. `version` counts its changes; a `disabled` one is as if it were not there."""

    pattern: str
    limits: Limits = Limits()
    description: str | None = None
    disabled: bool = False
    version: int = 1
    last_modified_ms: int = 0

    def encode(self) -> bytes:
        """The bytes to store."""
        return msgspec.json.encode(self)

    @staticmethod
    def decode(stored: bytes) -> "Rule":
        return msgspec.json.decode(stored, type=Rule)


class Unconditional(Struct, frozen=True, tag_field="type", tag="none"):
    """The rule is put whatever is there."""


class Matches(Struct, frozen=True, tag_field="type", tag="matches"):
    """The rule is put only if this version is the one that stands."""

    version: int


class DoesNotExist(Struct, frozen=True, tag_field="type", tag="does_not_exist"):
    """The rule is put only if there is none of its pattern."""


Precondition: TypeAlias = Unconditional | Matches | DoesNotExist


class RulePut(Struct, frozen=True, forbid_unknown_fields=True):
    """A rule as somebody wants it to be."""

    pattern: str
    limits: Limits = Limits()
    description: str | None = None
    disabled: bool = False
    precondition: Precondition = Unconditional()


class RuleDeletion(Struct, frozen=True, forbid_unknown_fields=True):
    """A rule that is to go; with `expected_version`, only if that one stands."""

    pattern: str
    expected_version: int | None = None


class Limit(Struct, frozen=True):
    """A rule applied to one thing: `name` is the pattern with each `*` filled in."""

    name: str
    level: Level
    rule: Rule


class RuleBook:
    """All rules, by pattern. Never changed: a change makes another book."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules: dict[str, Rule] = {rule.pattern: rule for rule in rules}
        self._active: dict[tuple[Level, tuple[str, ...]], Rule] = {
            parse_pattern(rule.pattern): rule for rule in self._rules.values() if not rule.disabled
        }
        self._spelled: dict[Level, list[tuple[bool, ...]]] = {}
        """Which names the patterns of a level spell out, in order of preference: all first, the earlier before the
        later."""
        for level, names in self._active:
            spelled = tuple(name != ANY for name in names)
            if spelled not in (known := self._spelled.setdefault(level, [])):
                known.append(spelled)
                known.sort(reverse=True)

    @staticmethod
    def decode(stored: Mapping[str, bytes]) -> "RuleBook":
        """The book of the rules in the store."""
        return RuleBook(map(Rule.decode, stored.values()))

    def __bool__(self) -> bool:
        """Whether any rule holds."""
        return bool(self._active)

    def __iter__(self) -> Iterator[Rule]:
        """All rules, by pattern."""
        return iter(sorted(self._rules.values(), key=lambda rule: rule.pattern))

    def limits_of(self, lane: Lane) -> list[Limit]:
        """The limits that the invocations of a lane pass, from the one shared by most to the one shared by fewest."""
        limits: list[Limit] = []
        for level, names in _names_of(lane):
            if (rule := self._most_specific(level, names)) is not None:
                limits.append(Limit(_spell(level, names), level, rule))
        return limits

    def put(self, wanted: Iterable[RulePut], now_ms: int) -> tuple["RuleBook", list[Rule]]:
        """The book with these rules in it, and the rules as they are then: all of them, or none.

        Raises:
            UsageError: a pattern or limit makes no sense; the message says which and why.
            Conflict: a precondition does not hold.
        """
        rules = dict(self._rules)
        put: list[Rule] = []
        for each in wanted:
            _check(each)
            if any(rule.pattern == each.pattern for rule in put):
                raise UsageError(f"rule {each.pattern!r} is there twice: say it once")
            before = rules.get(each.pattern)
            _check_precondition(each.pattern, before, each.precondition)
            version = before.version + 1 if before is not None else 1
            rule = Rule(each.pattern, each.limits, each.description, each.disabled, version, now_ms)
            rules[each.pattern] = rule
            put.append(rule)
        return RuleBook(rules.values()), put

    def delete(self, unwanted: Iterable[RuleDeletion]) -> tuple["RuleBook", list[str]]:
        """The book without these rules, and the patterns of those that were there: all of them, or none.

        Raises:
            Conflict: a rule is not of the expected version.
        """
        rules = dict(self._rules)
        removed: list[str] = []
        for each in unwanted:
            if each.expected_version is not None:
                _check_precondition(each.pattern, rules.get(each.pattern), Matches(each.expected_version))
            if rules.pop(each.pattern, None) is not None:
                removed.append(each.pattern)
        return RuleBook(rules.values()), removed

    def _most_specific(self, level: Level, names: tuple[str, ...]) -> Rule | None:
        for spelled in self._spelled.get(level, ()):
            tried = tuple(name if keep else ANY for name, keep in zip(names, spelled, strict=True))
            if (rule := self._active.get((level, tried))) is not None:
                return rule
        return None


def _names_of(lane: Lane) -> Iterator[tuple[Level, tuple[str, ...]]]:
    if lane.deployment:
        yield Level.DEPLOYMENT, (lane.deployment,)
    yield Level.SERVICE, (lane.service,)
    yield Level.HANDLER, (lane.service, lane.handler)
    if lane.scope:
        names = (lane.scope, *lane.limit_key.split("/")) if lane.limit_key else (lane.scope,)
        for length in range(1, len(names) + 1):
            yield Level(Level.SCOPE + length - 1), names[:length]


def _spell(level: Level, names: tuple[str, ...]) -> str:
    joined = "/".join(names)
    return f"{level.name.lower()}:{joined}" if level in _NAMES_OF else joined


def parse_pattern(pattern: str) -> tuple[Level, tuple[str, ...]]:
    """What a pattern is about, and its names.

    Raises:
        UsageError: it is no pattern; the message says what is.
    """
    prefix, colon, rest = pattern.partition(":")
    shown = pattern[:200]
    if not colon:
        names = tuple(pattern.split("/"))
        if len(names) > 3:
            raise UsageError(f"bad pattern {shown!r}: a scope has at most two levels of keys; a pattern is {PATTERNS}")
        wrong = next((name for name in names if not _SCOPE_LEVEL.fullmatch(name)), None)
        if wrong is not None:
            raise UsageError(
                f"bad pattern {shown!r}: {wrong[:50]!r} is neither `*` nor 1 to 36 letters, digits, `_`, `.` and `-`; "
                f"a pattern is {PATTERNS}"
            )
        return Level(Level.SCOPE + len(names) - 1), names
    level = _PREFIXES.get(prefix)
    if level is None:
        raise UsageError(f"bad pattern {shown!r}: nothing is called {prefix[:50]!r}; a pattern is {PATTERNS}")
    names = tuple(rest.split("/"))
    if len(names) != _NAMES_OF[level] or not all(_NAME.fullmatch(name) for name in names):
        form = {1: f"{prefix}:NAME", 2: f"{prefix}:SERVICE/HANDLER"}[_NAMES_OF[level]]
        raise UsageError(f"bad pattern {shown!r}: it should read `{form}`, where a name may be `*`")
    return level, names


def _check(wanted: RulePut) -> None:
    parse_pattern(wanted.pattern)
    limits = wanted.limits
    _check_count(wanted.pattern, "concurrency", limits.concurrency, 0, _COUNT_MAX, "0 holds all back")
    _check_count(wanted.pattern, "backlog", limits.backlog, 0, _COUNT_MAX, "0 refuses all that would have to wait")
    if limits.rate is not None:
        _check_count(wanted.pattern, "rate.permits", limits.rate.permits, 1, _COUNT_MAX, "they are whole")
        _check_count(wanted.pattern, "rate.per_ms", limits.rate.per_ms, 1, _PERIOD_MS_MAX, "up to a year")
        _check_count(wanted.pattern, "rate.burst", limits.rate.burst, 1, _COUNT_MAX, "1 spreads them evenly")
    if wanted.description is not None and len(wanted.description) > _DESCRIPTION_MAX:
        raise UsageError(f"rule {wanted.pattern!r}: the description is longer than {_DESCRIPTION_MAX} characters")


def _check_count(pattern: str, field: str, value: int | None, least: int, most: int, hint: str) -> None:
    if value is not None and not least <= value <= most:
        raise UsageError(f"rule {pattern!r}: {field} is {value}, and must be from {least} to {most} ({hint})")


def _check_precondition(pattern: str, before: Rule | None, wanted: Precondition) -> None:
    match wanted:
        case Unconditional():
            return
        case DoesNotExist():
            if before is not None:
                raise Conflict(f"rule {pattern!r} exists, in version {before.version}; nothing was changed")
        case Matches(version):
            if before is None:
                raise Conflict(f"rule {pattern!r} does not exist, version {version} was expected; nothing was changed")
            if before.version != version:
                raise Conflict(
                    f"rule {pattern!r} is in version {before.version}, {version} was expected; nothing was changed: "
                    "look at it again"
                )
