"""The slots against a model that looks at everything, and what people rely on, one test each."""

import tracemalloc
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.engine.flow.lanes import Lane, Place
from perdure.engine.flow.numbers import CHUNK, Numbers
from perdure.engine.flow.rules import Limits, Rate, RuleBook, RulePut
from perdure.engine.flow.slots import Slots

RULES = [
    RulePut("acme", Limits(3)),
    RulePut("*", Limits(2)),
    RulePut("acme/*", Limits(2)),
    RulePut("acme/ada", Limits(1)),
    RulePut("*/*/*", Limits(1)),
    RulePut("service:Agent", Limits(3)),
    RulePut("handler:Agent/*", Limits(2)),
    RulePut("handler:Mail/send", Limits(1, Rate(2, 100, 1))),
    RulePut("deployment:dp_1", Limits(4)),
    RulePut("*/mail", Limits(rate=Rate(3, 50))),
    RulePut("service:Mail", Limits(0)),
]
LANES = st.builds(
    Lane,
    st.sampled_from(["Agent", "Mail", "Other"]),
    st.sampled_from(["run", "send"]),
    st.sampled_from(["dp_1", "dp_2", ""]),
    st.sampled_from(["", "acme", "small"]),
    st.sampled_from(["", "ada", "bob", "mail", "ada/x", "bob/x"]),
).filter(lambda lane: bool(lane.scope or not lane.limit_key))
PLACES = st.builds(Place, LANES, st.sampled_from([-1, 0, 0, 0, 5]), st.booleans())


def book(*rules: RulePut) -> RuleBook:
    return RuleBook().put(rules, 0)[0]


@dataclass
class Model:
    """Everything in plain lists: what waits and runs, and when each limit let one begin."""

    attempts_max: int
    book: RuleBook
    waiting: dict[int, Place] = field(default_factory=dict)
    running: dict[int, Lane] = field(default_factory=dict)
    begun_at: dict[str, list[int]] = field(default_factory=dict)

    def can_start(self, number: int, now_ms: int) -> bool:
        lane, _, begun = self.waiting[number]
        if len(self.running) >= self.attempts_max:
            return False
        used = Counter(limit.name for each in self.running.values() for limit in self.book.limits_of(each))
        for limit in self.book.limits_of(lane):
            concurrency, rate = limit.rule.limits.concurrency, limit.rule.limits.rate
            if concurrency is not None and used[limit.name] >= concurrency:
                return False
            if rate is not None and not begun and not self._permit(limit.name, rate, now_ms):
                return False
        return True

    def _permit(self, name: str, rate: Rate, now_ms: int) -> bool:
        """A bucket that fills as time goes, from the first day on."""
        tokens, at = float(rate.at_once), 0
        for when in [*self.begun_at.get(name, []), now_ms]:
            tokens = min(rate.at_once, tokens + (when - at) * rate.permits / rate.per_ms) - 1
            at = when
        return tokens > -1e-6

    def start(self, number: int, now_ms: int) -> None:
        assert self.can_start(number, now_ms), f"{number} starts above a limit"
        place = self.waiting.pop(number)
        self.running[number] = place.lane
        if not place.begun:
            for limit in self.book.limits_of(place.lane):
                self.begun_at.setdefault(limit.name, []).append(now_ms)

    def check_choice(self, number: int, now_ms: int) -> None:
        """Nobody who could start is more urgent; of its own lane, nobody goes before it."""
        lane, priority, begun = self.waiting[number]
        for other, place in self.waiting.items():
            if other != number and self.can_start(other, now_ms):
                assert place.priority <= priority, f"{other} is more urgent than {number}"
                if place.lane == lane and place.priority == priority:
                    assert (not place.begun, other) > (not begun, number), f"{other} goes before {number}"


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 6), st.lists(st.sampled_from(RULES), unique_by=lambda rule: rule.pattern))
def test_whatever_could_start_starts_and_nothing_starts_above_a_limit(
    data: st.DataObject, attempts_max: int, rules: list[RulePut]
) -> None:
    model = Model(attempts_max, book(*rules))
    slots = Slots(attempts_max, 1_000, model.book)
    now_ms, last = 1_000_000, 0
    for _ in range(data.draw(st.integers(1, 60))):
        match data.draw(
            st.sampled_from(["offer", "offer", "offer", "release", "release", "withdraw", "wait", "rules"])
        ):
            case "offer":
                last += 1
                place = model.waiting[last] = data.draw(PLACES)
                if slots.offer(last, place, now_ms):
                    model.start(last, now_ms)
            case "release" if model.running:
                number = data.draw(st.sampled_from(sorted(model.running)))
                del model.running[number]
                slots.release(number)
            case "withdraw" if model.waiting:
                number = data.draw(st.sampled_from(sorted(model.waiting)))
                assert slots.withdraw(number, model.waiting.pop(number))
            case "wait":
                now_ms += data.draw(st.integers(1, 60))
            case "rules":
                kept = data.draw(st.lists(st.sampled_from(RULES), unique_by=lambda rule: rule.pattern))
                if all(rule.limits.rate is None for rule in [*rules, *kept]):
                    model.book = book(*kept)
                    slots.set_rules(model.book)
            case _:
                pass
        for _ in range(data.draw(st.integers(0, 3))):
            pump(slots, model, now_ms)
    while pump(slots, model, now_ms):
        pass
    stuck = [number for number in model.waiting if model.can_start(number, now_ms)]
    assert not stuck, f"{stuck} could start, and nothing lets them"
    used = Counter(limit.name for lane in model.running.values() for limit in model.book.limits_of(lane))
    assert {use.name: use.used for use in slots.limits() if use.used} == dict(used)
    assert slots.waiting == len(model.waiting)
    assert slots.running == len(model.running)


def pump(slots: Slots, model: Model, now_ms: int) -> bool:
    number = slots.take(now_ms)
    if number is None:
        return False
    model.check_choice(number, now_ms)
    model.start(number, now_ms)
    return True


@settings(max_examples=50, deadline=None)
@given(st.data(), st.integers(1, 3))
def test_all_get_through_in_the_end(data: st.DataObject, attempts_max: int) -> None:
    rules = [rule for rule in RULES if rule.limits.concurrency != 0]
    model = Model(attempts_max, book(*rules))
    slots = Slots(attempts_max, 1_000, model.book)
    now_ms = 1_000_000
    for number, place in enumerate(data.draw(st.lists(PLACES, min_size=1, max_size=40)), 1):
        model.waiting[number] = place
        if slots.offer(number, place, now_ms):
            model.start(number, now_ms)
    while model.waiting or model.running:
        if pump(slots, model, now_ms):
            continue
        if model.running:
            number = data.draw(st.sampled_from(sorted(model.running)))
            del model.running[number]
            slots.release(number)
        else:
            due_ms = slots.next_due_ms()
            assert due_ms is not None, "all wait, and nothing is due"
            assert due_ms > now_ms
            now_ms = due_ms
    assert slots.waiting == slots.running == 0


def drain(slots: Slots, lanes: dict[int, Lane], turns: int) -> list[str]:
    """Who runs in so many turns, one at a time, by handler."""
    served: list[str] = []
    for _ in range(turns):
        number = slots.take(0)
        if number is None:
            break
        served.append(lanes[number].handler)
        slots.release(number)
    return served


def wait_in_line(slots: Slots, *lanes: tuple[Lane, int]) -> dict[int, Lane]:
    """So many of each lane, while something else has the only slot."""
    assert slots.offer(1_000_000, Place(Lane("Busy", "busy")), 0)
    numbers: dict[int, Lane] = {}
    for lane, count in lanes:
        for _ in range(count):
            number = len(numbers) + 1
            numbers[number] = lane
            assert not slots.offer(number, Place(lane), 0)
    slots.release(1_000_000)
    return numbers


def test_lanes_take_turns_however_much_waits_in_one() -> None:
    slots = Slots(1, 1_000)
    lanes = wait_in_line(slots, (Lane("A", "many"), 100), (Lane("B", "few"), 3), (Lane("C", "one"), 1))
    assert drain(slots, lanes, 8) == ["many", "few", "one", "many", "few", "many", "few", "many"]


def test_a_limit_takes_its_turn_as_one_however_many_lanes_it_has() -> None:
    slots = Slots(1, 1_000, book(RulePut("big", Limits(10))))
    crowd = [(Lane("A", "crowd", "", "big", f"user-{n}"), 1) for n in range(20)]
    lanes = wait_in_line(slots, *crowd, (Lane("B", "single"), 3))
    assert drain(slots, lanes, 6) == ["crowd", "single"] * 3


def test_who_is_joined_by_another_lane_of_its_limit_keeps_its_turn() -> None:
    slots = Slots(1, 1_000, book(RulePut("big", Limits(10))))
    first, other, joins = Lane("A", "first", "", "big"), Lane("B", "other"), Lane("A", "joins", "", "big")
    lanes = wait_in_line(slots, (first, 2), (other, 2), (joins, 2))
    assert drain(slots, lanes, 6) == ["first", "other", "joins", "other", "first", "joins"]


def test_a_million_that_wait_each_with_limits_of_its_own_fit_into_memory() -> None:
    slots = Slots(1_000, 100_000, book(RulePut("*", Limits(100)), RulePut("*/*", Limits(1))))
    count = 20_000
    tracemalloc.start()
    try:
        for number in range(count):
            slots.queue(number, Place(Lane("A", "run", "dp_1", f"tenant-{number % 100}", f"user-{number}")))
        used_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used_bytes / count < 1_200, f"{used_bytes / count:.0f} bytes each"


def test_two_handlers_share_the_one_slot_of_a_scope_in_turn() -> None:
    rules = book(RulePut("openai", Limits(1)), RulePut("handler:*/*", Limits(5)))
    slots = Slots(10, 1_000, rules)
    numbers = {n: Lane("A", "ab"[n % 2], "", "openai") for n in range(1, 9)}
    for number, lane in numbers.items():
        slots.offer(number, Place(lane), 0)
    slots.release(1)
    assert drain(slots, numbers, 7) == ["a", "b", "a", "b", "a", "b", "a"]


def test_more_urgent_ones_go_first_across_lanes_and_begun_ones_first_within_one() -> None:
    slots = Slots(1, 1_000)
    slots.offer(100, Place(Lane("Busy", "busy")), 0)
    lane, other = Lane("A", "run"), Lane("B", "run")
    waiting = [Place(lane), Place(lane), Place(lane, begun=True), Place(other, 7), Place(lane, -3, begun=True)]
    for number, place in enumerate(waiting, 1):
        slots.offer(number, place, 0)
    order: list[int] = []
    slots.release(100)
    while (number := slots.take(0)) is not None:
        order.append(number)
        slots.release(number)
    assert order == [4, 3, 1, 2, 5]


def test_a_rate_holds_over_any_stretch_of_time_and_after_a_pause_lets_a_burst_through() -> None:
    slots = Slots(1_000, 1_000, book(RulePut("service:A", Limits(rate=Rate(10, 1_000, 3)))))
    now_ms = 5_000
    started = [now_ms for number in range(1, 31) if slots.offer(number, Place(Lane("A", "run")), now_ms)]
    while (due_ms := slots.next_due_ms()) is not None:
        now_ms = due_ms
        while slots.take(now_ms) is not None:
            started.append(now_ms)
    assert started == [5_000] * 3 + [5_000 + 100 * n for n in range(1, 28)]


def test_retries_and_resumes_pass_a_rate() -> None:
    slots = Slots(10, 1_000, book(RulePut("service:A", Limits(rate=Rate(1, 1_000)))))
    lane = Lane("A", "run")
    assert slots.offer(1, Place(lane), 0)
    assert not slots.offer(2, Place(lane, 50), 0)
    assert not slots.offer(3, Place(lane, begun=True), 0)
    assert slots.take(0) == 3
    assert slots.take(0) is None
    assert slots.next_due_ms() == 1_000


def test_a_clock_that_is_set_back_delays_a_rate_by_no_more_than_its_burst() -> None:
    slots = Slots(10, 1_000, book(RulePut("service:A", Limits(rate=Rate(1, 1_000)))))
    lane = Lane("A", "run")
    year_ms = 365 * 86_400_000
    assert slots.offer(1, Place(lane), year_ms)
    assert not slots.offer(2, Place(lane), year_ms)
    assert slots.take(5_000) is None
    assert slots.next_due_ms() == 6_000
    assert slots.take(6_000) == 2


def test_a_change_of_one_rule_gives_no_permits_anew_for_another() -> None:
    rate = RulePut("service:A", Limits(rate=Rate(1, 1_000)))
    slots = Slots(10, 1_000, book(rate))
    lane = Lane("A", "run")
    assert slots.offer(1, Place(lane), 0)
    slots.set_rules(book(rate, RulePut("service:B", Limits(1))))
    assert not slots.offer(2, Place(lane), 10)
    assert slots.take(999) is None
    assert slots.take(1_000) == 2


def test_who_only_waits_is_asked_for_the_slot_that_others_need_and_no_other() -> None:
    slots = Slots(10, 1_000, book(RulePut("openai", Limits(2)), RulePut("other", Limits(1))))
    openai, other = Lane("A", "run", "", "openai"), Lane("A", "run", "", "other")
    assert [slots.offer(n, Place(lane), 0) for n, lane in enumerate([openai, openai, other], 1)] == [True] * 3
    for number in (3, 2, 1):
        slots.idles(number)
    assert slots.reclaim() == []
    slots.offer(4, Place(openai), 0)
    assert slots.reclaim() == [2], "one waits: one is asked, that which waits longest"
    assert slots.reclaim() == [], "and is not asked again"
    slots.offer(5, Place(openai), 0)
    assert slots.reclaim() == [1]
    slots.release(2)
    assert slots.take(0) == 4
    assert slots.take(0) is None


def test_who_only_waits_is_asked_when_a_rate_lets_through_what_needs_its_slot() -> None:
    rules = book(RulePut("service:A", Limits(1)), RulePut("openai", Limits(rate=Rate(1, 1_000))))
    slots = Slots(10, 1_000, rules)
    lane = Lane("A", "run", "", "openai")
    assert slots.offer(1, Place(lane), 0)
    slots.idles(1)
    slots.offer(2, Place(lane), 0)
    assert slots.reclaim() == [], "the rate holds it back: a slot would be of no use"
    assert slots.take(1_000) is None
    assert slots.reclaim() == [1]


def test_who_works_again_is_not_asked() -> None:
    slots = Slots(10, 1_000, book(RulePut("openai", Limits(1))))
    lane = Lane("A", "run", "", "openai")
    slots.offer(1, Place(lane), 0)
    slots.idles(1)
    slots.works(1)
    slots.offer(2, Place(lane), 0)
    assert slots.reclaim() == []
    slots.idles(1)
    assert slots.reclaim() == [1]


def test_the_engine_asks_nobody_for_slots_that_nobody_could_use() -> None:
    slots = Slots(2, 1_000, book(RulePut("openai", Limits(1))))
    lane = Lane("A", "run", "", "openai")
    slots.offer(1, Place(lane), 0)
    slots.offer(2, Place(Lane("B", "run")), 0)
    slots.offer(3, Place(lane), 0)
    slots.idles(2)
    assert slots.reclaim() == [], "what waits needs the slot of openai, which 2 has not"
    slots.offer(4, Place(Lane("B", "run")), 0)
    assert slots.reclaim() == [2]


def test_the_position_names_the_limit_and_those_ahead() -> None:
    rules = book(RulePut("openai", Limits(1)), RulePut("service:R", Limits(rate=Rate(1, 1_000))))
    slots = Slots(2, 1_000, rules)
    lane = Lane("A", "run", "", "openai")
    for number in range(1, 44):
        slots.offer(number, Place(lane), 0)
    position = slots.position(43, Place(lane), 0)
    assert position is not None
    assert (position.limit, position.ahead, position.due_ms) == ("openai", 41, None)
    assert slots.position(1, Place(lane), 0) is None, "it runs"
    slots.offer(50, Place(Lane("R", "run")), 0)
    assert slots.take(0) == 50
    slots.offer(51, Place(Lane("R", "run")), 0)
    position = slots.position(51, Place(Lane("R", "run")), 0)
    assert position is not None
    assert (position.limit, position.ahead, position.due_ms) == ("service:R", 0, 1_000)
    slots.offer(52, Place(Lane("B", "run")), 0)
    position = slots.position(52, Place(Lane("B", "run")), 0)
    assert position is not None
    assert (position.limit, position.ahead) == (None, 0)
    assert slots.position(1, Place(Lane("Nobody", "run")), 0) is None


def test_a_backlog_counts_what_has_not_begun_from_the_moment_it_is_taken_in() -> None:
    slots = Slots(10, 1_000, book(RulePut("openai", Limits(1, backlog=2))))
    lane = Lane("A", "run", "", "openai")
    for _ in range(3):
        assert slots.refusal(lane, 0, 0) is None
        slots.announce(lane)
    refusal = slots.refusal(lane, 0, 0)
    assert refusal is not None
    assert (refusal.limit, refusal.backlog) == ("openai", 2)
    assert slots.refusal(Lane("A", "run"), 0, 0) is None
    for number in (1, 2, 3):
        slots.offer(number, Place(lane), 0)
    slots.offer(4, Place(lane, begun=True), 0)
    assert slots.refusal(lane, 0, 0) is not None
    slots.withdraw(3, Place(lane))
    assert slots.refusal(lane, 0, 0) is None


def test_the_engines_own_backlog_counts_what_waits_elsewhere_too() -> None:
    slots = Slots(1, 5)
    lane = Lane("A", "run")
    for number in range(1, 5):
        slots.offer(number, Place(lane), 0)
    assert slots.refusal(lane, 1, 0) is None
    refusal = slots.refusal(lane, 2, 0)
    assert refusal is not None
    assert (refusal.limit, refusal.waiting, refusal.backlog) == (None, 5, 5)


def test_budgets_of_names_that_came_and_went_are_forgotten() -> None:
    slots = Slots(10, 1_000, book(RulePut("*", Limits(1, Rate(10, 1_000)))))
    for number in range(1, 20_000):
        assert slots.offer(number, Place(Lane("A", "run", "", f"tenant-{number}")), number)
        slots.release(number)
    assert len(slots._budgets) < 3_000
    assert len(slots._limits) <= 10_000


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3_000)), max_size=3_000))
def test_numbers_are_a_sorted_set(changes: list[tuple[bool, int]]) -> None:
    numbers, model = Numbers(), set[int]()
    for number in range(CHUNK * 2):  # so that there is more than one chunk
        numbers.add(number * 3)
        model.add(number * 3)
    for adds, number in changes:
        if adds and number not in model:
            numbers.add(number)
            model.add(number)
        elif not adds:
            assert numbers.remove(number) == (number in model)
            model.discard(number)
    expected = sorted(model)
    assert list(numbers) == expected
    assert len(numbers) == len(expected)
    for number in (0, 1_500, 4_000):
        assert (number in numbers) == (number in model)
        assert numbers.before(number) == sum(each < number for each in expected)
    if expected:
        assert numbers.first() == numbers.pop_first() == expected[0]
        assert list(numbers) == expected[1:]
