"""A thread of checkpoints, as the records of a log that only grows; each holds what is new against its parent.

    {"checkpoint": id, "ns", "parent", "made", "metadata", "values": {channel: ...}, "gone": [channel], "writes": [...]}
    {"writes": [[task, path, index, channel, value]], "ns", "of": id}

A list, such as the messages, is written as the items that its parent's list lacks. Pure: nothing here awaits anything.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from msgspec.json import encode

from perdure.ext.missing import needs

with needs("langgraph", extra="langchain"):
    from langgraph.checkpoint.base import WRITES_IDX_MAP, writes_sort_key
    from langgraph.checkpoint.serde.types import ERROR, INTERRUPT

Record: TypeAlias = dict[str, Any]

_STOPPED = (INTERRUPT, ERROR)
"""What a task writes that keeps its superstep from being completed: from then on, what its siblings wrote counts."""


class Items:
    """A list of which only the difference to another list is held."""

    def __init__(self, base: "Items | None", kept: int, added: list[Any]) -> None:
        self._base = base
        self._kept = kept
        self._added = added

    def all(self) -> list[Any]:
        pieces: list[list[Any]] = []
        layer, end = self, self._kept + len(self._added)
        while True:
            pieces.append(layer._added[: max(0, end - layer._kept)])
            end = min(end, layer._kept)
            if layer._base is None or end == 0:
                break
            layer = layer._base
        return [item for piece in reversed(pieces) for item in piece]


Stored: TypeAlias = Items | tuple[Any]
"""A channel's value, as JSON: a list, or anything else."""


@dataclass(slots=True)
class Write:
    """What a task wrote to one channel."""

    task: str
    path: str
    index: int
    channel: str
    value: Any
    """As JSON."""

    def as_row(self) -> list[Any]:
        return [self.task, self.path, self.index, self.channel, self.value]


@dataclass(slots=True)
class Saved:
    """One checkpoint."""

    id: str
    ns: str
    parent: str | None
    made: Record
    """The checkpoint without id and values."""
    metadata: Any
    values: dict[str, Stored]
    writes: dict[tuple[str, int], Write] = field(default_factory=dict[tuple[str, int], Write])
    kept: bool = False
    """Whether its writes are in the log, and further ones go there at once."""

    def sorted_writes(self) -> list[Write]:
        return sorted(self.writes.values(), key=lambda each: writes_sort_key(each.path, each.task, each.index))

    def value(self, channel: str) -> Any:
        stored = self.values[channel]
        return stored.all() if isinstance(stored, Items) else stored[0]


class Thread:
    """All checkpoints of one thread. What changes it gives the record to append to the log, or none."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._by_place: dict[tuple[str, str], Saved] = {}
        self._heads: dict[str, Saved] = {}
        for record in records:
            self._take(record)

    @property
    def heads(self) -> list[Saved]:
        """The latest checkpoint of each namespace."""
        return list(self._heads.values())

    def find(self, ns: str, id: str | None) -> Saved | None:
        """A checkpoint; without an id, the latest."""
        return self._heads.get(ns) if id is None else self._by_place.get((ns, id))

    def newest_first(self, ns: str | None) -> Iterator[Saved]:
        """All checkpoints, or those of one namespace."""
        for saved in sorted(self._by_place.values(), key=lambda each: each.id, reverse=True):
            if ns is None or saved.ns == ns:
                yield saved

    def put(
        self,
        ns: str,
        id: str,
        parent_id: str | None,
        made: Record,
        metadata: Any,
        values: Mapping[str, Any],
        to_json: Callable[[Any], Any],
    ) -> Record:
        """Adds a checkpoint. Values of channels whose version is that of the parent are not looked at."""
        parent = None if parent_id is None else self._by_place.get((ns, parent_id))
        before = {} if parent is None else parent.values
        old_versions: Record = {} if parent is None else parent.made["channel_versions"]
        new: Record = {}
        for channel in sorted(values):
            if channel not in before or made["channel_versions"].get(channel) != old_versions.get(channel):
                new[channel] = _difference(to_json(values[channel]), before.get(channel))
        record = {"checkpoint": id, "ns": ns, "parent": parent_id, "made": made, "metadata": metadata, "values": new}
        if gone := sorted(before.keys() - values.keys()):
            record["gone"] = gone
        if parent is not None and not parent.kept:
            # Channels that have a version and no value are rebuilt from what was written to them; for all others the
            # writes have done their work.
            lasting = [each for each in parent.sorted_writes() if _rebuilt(each.channel, made, values)]
            if lasting:
                record["writes"] = [each.as_row() for each in lasting]
        self._take(record)
        return record

    def write(self, ns: str, id: str, task: str, path: str, writes: Sequence[tuple[str, Any]]) -> Record | None:
        """Adds what a task wrote, as JSON. It is kept from the moment on in which the superstep cannot be completed."""
        saved = self._by_place.setdefault((ns, id), _unknown(ns, id))
        fresh: dict[int, Write] = {}
        for position, (channel, value) in enumerate(writes):
            index = WRITES_IDX_MAP.get(channel, position)
            if index >= 0 and (task, index) in saved.writes:
                continue
            saved.writes[task, index] = fresh[index] = Write(task, path, index, channel, value)
        if saved.kept:
            rows = list(fresh.values())
        elif any(each.channel in _STOPPED for each in fresh.values()):
            saved.kept = True
            rows = list(saved.writes.values())
        else:
            return None
        return {"writes": [each.as_row() for each in rows], "ns": ns, "of": id} if rows else None

    def _take(self, record: Record) -> None:
        ns = record["ns"]
        if "checkpoint" not in record:
            saved = self._by_place.setdefault((ns, record["of"]), _unknown(ns, record["of"]))
            saved.kept = True
            _add(saved, record["writes"])
            return
        parent = self._by_place.get((ns, record["parent"]))
        before = {} if parent is None else parent.values
        values = {channel: stored for channel, stored in before.items() if channel not in record.get("gone", ())}
        for channel, difference in record["values"].items():
            values[channel] = _applied(difference, before.get(channel))
        if parent is not None and not parent.kept:
            parent.writes.clear()
            _add(parent, record.get("writes", ()))
        saved = Saved(record["checkpoint"], ns, record["parent"], record["made"], record["metadata"], values)
        early = self._by_place.get((ns, saved.id))
        if early is not None:  # its writes were there before it, or it is put once more
            saved.writes, saved.kept = early.writes, early.kept
        self._by_place[ns, saved.id] = saved
        head = self._heads.get(ns)
        if head is None or head.id <= saved.id:
            self._heads[ns] = saved


def _unknown(ns: str, id: str) -> Saved:
    return Saved(id, ns, None, {"channel_versions": {}}, {}, {})


def _add(saved: Saved, rows: Iterable[Sequence[Any]]) -> None:
    for row in rows:
        write = Write(*row)
        saved.writes[write.task, write.index] = write


def _rebuilt(channel: str, made: Record, values: Mapping[str, Any]) -> bool:
    return channel in made["channel_versions"] and channel not in values


def _difference(value: Any, before: Stored | None) -> Record:
    if not isinstance(value, list):
        return {"whole": value}
    items = cast("list[Any]", value)
    old = before.all() if isinstance(before, Items) else []
    pairs = zip(items, old, strict=False)
    kept = next((at for at, (new, known) in enumerate(pairs) if not _same(new, known)), min(len(items), len(old)))
    return {"keep": kept, "add": items[kept:]} if kept else {"add": items}


def _same(one: Any, other: Any) -> bool:
    return one == other and encode(one) == encode(other)  # 1 equals True, and 1.0, and is another value


def _applied(difference: Record, before: Stored | None) -> Stored:
    if "whole" in difference:
        return (difference["whole"],)
    kept = difference.get("keep", 0)
    return Items(before if kept and isinstance(before, Items) else None, kept, difference["add"])
