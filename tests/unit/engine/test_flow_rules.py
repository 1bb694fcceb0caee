"""Rules: which one holds for a lane, what a pattern may be, and what a change of the book refuses."""

import pytest

from perdure.engine.flow.lanes import Lane
from perdure.engine.flow.rules import (
    DoesNotExist,
    Limits,
    Matches,
    Precondition,
    Rate,
    Rule,
    RuleBook,
    RuleDeletion,
    RulePut,
)
from perdure.errors import Conflict, UsageError


def book(*patterns: str) -> RuleBook:
    return RuleBook().put([RulePut(pattern, Limits(1)) for pattern in patterns], 0)[0]


def holding(rules: RuleBook, lane: Lane) -> list[tuple[str, str]]:
    return [(limit.name, limit.rule.pattern) for limit in rules.limits_of(lane)]


def test_one_invocation_counts_at_scope_and_both_levels_of_its_key() -> None:
    rules = book("openai", "openai/*", "*/*/*", "other")
    lane = Lane("Agent", "run", "dp_1", "openai", "ada/mail")
    assert holding(rules, lane) == [
        ("openai", "openai"),
        ("openai/ada", "openai/*"),
        ("openai/ada/mail", "*/*/*"),
    ]
    assert holding(rules, Lane("Agent", "run", "dp_1")) == []


@pytest.mark.parametrize(
    ("patterns", "pattern"),
    [
        (["*/*", "*/ada", "openai/*", "openai/ada"], "openai/ada"),
        (["*/*", "*/ada", "openai/*"], "openai/*"),
        (["*/*", "*/ada"], "*/ada"),
        (["*/*"], "*/*"),
    ],
)
def test_the_most_specific_rule_holds_alone(patterns: list[str], pattern: str) -> None:
    lane = Lane("Agent", "run", "", "openai", "ada")
    assert holding(book(*patterns), lane) == [("openai/ada", pattern)]


def test_services_handlers_and_deployments_are_limited_without_a_scope() -> None:
    rules = book("service:Agent", "handler:*/run", "handler:Agent/*", "deployment:*", "*")
    assert holding(rules, Lane("Agent", "run", "dp_1")) == [
        ("deployment:dp_1", "deployment:*"),
        ("service:Agent", "service:Agent"),
        ("handler:Agent/run", "handler:Agent/*"),
    ]
    assert holding(rules, Lane("Mail", "run")) == [("handler:Mail/run", "handler:*/run")]


def test_a_disabled_rule_is_as_if_it_were_not_there() -> None:
    rules, _ = book("*").put([RulePut("openai", Limits(5), disabled=True)], 0)
    assert holding(rules, Lane("Agent", "run", "", "openai")) == [("openai", "*")]
    assert [rule.pattern for rule in rules] == ["*", "openai"]


def test_a_more_specific_rule_without_limits_takes_away_the_general_one() -> None:
    rules, _ = book("*").put([RulePut("free")], 0)
    (limit,) = rules.limits_of(Lane("Agent", "run", "", "free"))
    assert limit.rule.limits == Limits()


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("", "neither `\\*` nor 1 to 36 letters"),
        ("a/b/c/d", "a scope has at most two levels of keys"),
        ("a/b c", "'b c' is neither"),
        ("a" * 37, "1 to 36 letters"),
        ("queue:mail", "nothing is called 'queue'"),
        ("service:", "should read `service:NAME`"),
        ("service:A/b", "should read `service:NAME`"),
        ("handler:A", "should read `handler:SERVICE/HANDLER`"),
    ],
)
def test_what_is_no_pattern_is_refused_with_what_is(pattern: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        book(pattern)


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        (Limits(-1), "concurrency is -1"),
        (Limits(2**40), "concurrency is"),
        (Limits(backlog=-5), "backlog is -5"),
        (Limits(rate=Rate(0)), "rate.permits is 0"),
        (Limits(rate=Rate(1, 0)), "rate.per_ms is 0"),
        (Limits(rate=Rate(1, 1, 0)), "rate.burst is 0"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: Limits, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        RuleBook().put([RulePut("a", limits)], 0)


@pytest.mark.parametrize(
    ("precondition", "complaint"),
    [
        (DoesNotExist(), "exists, in version 1"),
        (Matches(2), "is in version 1, 2 was expected"),
    ],
)
def test_a_change_whose_precondition_does_not_hold_changes_nothing(precondition: Precondition, complaint: str) -> None:
    rules = book("a")
    with pytest.raises(Conflict, match=complaint):
        rules.put([RulePut("b"), RulePut("a", precondition=precondition)], 0)
    assert [rule.pattern for rule in rules] == ["a"]
    with pytest.raises(Conflict, match="does not exist, version 1 was expected"):
        rules.put([RulePut("c", precondition=Matches(1))], 0)
    with pytest.raises(Conflict):
        rules.delete([RuleDeletion("a", 7)])


def test_rules_are_the_same_when_they_come_back_from_the_store() -> None:
    rule = Rule("a/*", Limits(3, Rate(10, 60_000, 2), 5), "mails", True, 4, 1_800_000_000_000)
    assert list(RuleBook.decode({"a/*": rule.encode()})) == [rule]
