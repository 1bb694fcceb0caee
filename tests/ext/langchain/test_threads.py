"""A thread of checkpoints as a log: whatever is put and written, the log alone gives the same thread again."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from perdure.ext.langchain.threads import Thread

values = st.dictionaries(
    st.sampled_from(["messages", "notes", "count"]),
    st.one_of(
        st.integers(0, 3), st.lists(st.one_of(st.integers(0, 3), st.booleans(), st.just(1.0)), max_size=6), st.none()
    ),
)


def put(thread: Thread, id: int, parent: int | None, given: dict[str, Any], versions: dict[str, int]) -> Any:
    made = {"v": 4, "channel_versions": versions}
    before = None if parent is None else f"{parent:03d}"
    return thread.put("", f"{id:03d}", before, made, {}, given, lambda value: value)


@given(st.lists(st.tuples(values, st.integers(0, 100)), max_size=12))
def test_the_log_gives_the_same_thread_again(steps: list[tuple[dict[str, Any], int]]) -> None:
    """Each checkpoint has a parent among those before it, so that threads fork, too."""
    thread, log = Thread(), []
    for id, (saving, pick) in enumerate(steps):
        versions = dict.fromkeys(saving, id + 1)
        log.append(put(thread, id, pick % id if id else None, saving, versions))
    again = Thread(json.loads(json.dumps(log)))
    for id, (saving, _) in enumerate(steps):
        for each in (thread, again):
            saved = each.find("", f"{id:03d}")
            assert saved is not None
            kept = {name: saved.value(name) for name in saved.values}
            assert json.dumps(kept, sort_keys=True) == json.dumps(saving, sort_keys=True)  # 1 is neither true nor 1.0
    assert [each.id for each in again.heads] == [each.id for each in thread.heads]


def test_a_list_that_grows_is_written_as_what_it_grew_by() -> None:
    thread = Thread()
    put(thread, 0, None, {"messages": [1, 2, 3]}, {"messages": 1})
    record = put(thread, 1, 0, {"messages": [1, 2, 3, 4]}, {"messages": 2})
    assert record["values"] == {"messages": {"keep": 3, "add": [4]}}


def test_what_did_not_change_is_not_written() -> None:
    thread = Thread()
    put(thread, 0, None, {"messages": [1], "count": 1}, {"messages": 1, "count": 1})
    record = put(thread, 1, 0, {"messages": [1], "count": 2}, {"messages": 1, "count": 2})
    assert record["values"] == {"count": {"whole": 2}}


def test_writes_of_a_superstep_that_was_completed_are_not_kept() -> None:
    thread = Thread()
    put(thread, 0, None, {"count": 0}, {"count": 1})
    assert thread.write("", "000", "task", "", [("count", 1)]) is None
    record = put(thread, 1, 0, {"count": 1}, {"count": 2})
    assert "writes" not in record
    saved = thread.find("", "000")
    assert saved is not None
    assert saved.sorted_writes() == []


def test_writes_of_an_interrupted_superstep_are_kept_with_those_of_its_siblings() -> None:
    thread = Thread()
    log = [put(thread, 0, None, {"count": 0}, {"count": 1})]
    assert thread.write("", "000", "one", "a", [("count", 1)]) is None
    log.append(thread.write("", "000", "two", "b", [("__interrupt__", "ok?")]))
    log.append(thread.write("", "000", "three", "c", [("count", 2)]))
    saved = Thread(log).find("", "000")
    assert saved is not None
    assert [(each.task, each.channel, each.value) for each in saved.sorted_writes()] == [
        ("one", "count", 1),
        ("two", "__interrupt__", "ok?"),
        ("three", "count", 2),
    ]


def test_writes_to_a_channel_without_value_are_kept_with_the_next_checkpoint() -> None:
    thread = Thread()
    log = [put(thread, 0, None, {}, {"delta": 1})]
    thread.write("", "000", "task", "", [("delta", "said"), ("other", 1)])
    log.append(put(thread, 1, 0, {"other": 1}, {"delta": 2, "other": 1}))
    assert [row[3:] for row in log[1]["writes"]] == [["delta", "said"]]
    saved = Thread(log).find("", "000")
    assert saved is not None
    assert [each.value for each in saved.sorted_writes()] == ["said"]
