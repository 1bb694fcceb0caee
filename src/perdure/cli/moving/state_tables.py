"""The state of many objects, as an engine's table `state` shows it; a part at a time, so that any number will do."""

from collections.abc import Iterator, Sequence
from typing import Any

from perdure.cli import query
from perdure.cli.moving.state_file import ObjectName, State
from perdure.cli.query import literal, one_of
from perdure.cli.remote import RequestRefused, patiently
from perdure.errors import PerdureError

KEYS_AT_ONCE = 2_000
BYTES_AT_ONCE = 8 * 1024 * 1024
"""Of values, in one answer; an object that has more comes alone."""

_VALUES = (  # as text where it is text, which takes half of what hex does
    "select scope, service_key, key, key_length, value_utf8,"
    " case when value_utf8 is null then value end as value from state where"
)


class NotText(PerdureError):
    """An entry of a state has a name that is no text; nothing but SQL can read it."""


def services_with_state() -> list[str]:
    """The services that have state, by name."""
    return [row["service_name"] for row in _rows_of("select distinct service_name from state order by service_name")]


def objects_of(service: str) -> Iterator[tuple[ObjectName, State]]:
    """All objects of a service by key, each as of one moment. Raises like `query.rows_of`, and `NotText`."""
    of_service = f"service_name = {literal(service)}"
    beyond = ""
    while sizes := _rows_of(
        f"select service_key, sum(value_length) as size from state where {of_service}{beyond}"
        f" group by service_key order by service_key limit {KEYS_AT_ONCE}"
    ):
        for first, last in _parts([(row["service_key"], int(row["size"])) for row in sizes]):
            between = f"service_key >= {literal(first)} and service_key <= {literal(last)}"
            try:
                rows = _rows_of(f"{_VALUES} {of_service} and {between}")
            except RequestRefused as error:  # most likely of one object that is too large for an answer
                raise RequestRefused(f"cannot read the state of {service} from key {first!r} on: {error}") from error
            yield from sorted(_gathered(service, rows).items())
        beyond = f" and service_key > {literal(sizes[-1]['service_key'])}"


def states_like(service: str, wanted: dict[ObjectName, State]) -> dict[ObjectName, State | None]:
    """The state that these objects of a service have by now, if any; None for one that has another size than `wanted`.

    States of another size are not read: no more is read than is wanted.
    """
    keys = one_of("service_key", sorted({name.key for name in wanted}))
    of_keys = f"service_name = {literal(service)} and {keys}"
    sizes = _rows_of(
        "select scope, service_key, count(*) as entries, sum(value_length) as size from state"
        f" where {of_keys} group by scope, service_key"
    )
    present: dict[ObjectName, State | None] = {}
    alike: set[str] = set()
    for row in sizes:
        name = _name(service, row)
        if name not in wanted:
            continue
        present[name] = None
        if (row["entries"], int(row["size"])) == (len(wanted[name]), sum(map(len, wanted[name].values()))):
            alike.add(name.key)
    if alike:
        rows = _rows_of(f"{_VALUES} service_name = {literal(service)} and {one_of('service_key', sorted(alike))}")
        found = _gathered(service, rows)
        present |= {name: found.get(name) for name in present if name.key in alike}
    return present


def _rows_of(sql: str) -> list[dict[str, Any]]:
    return patiently(lambda: query.rows_of(sql))


def _parts(sizes: Sequence[tuple[str, int]]) -> Iterator[tuple[str, str]]:
    """First and last key of parts that are not too large for one answer."""
    first, held = sizes[0][0], 0
    last = first
    for key, size in sizes:
        if held and held + size > BYTES_AT_ONCE:
            yield first, last
            first, held = key, 0
        last = key
        held += size
    yield first, last


def _gathered(service: str, rows: list[dict[str, Any]]) -> dict[ObjectName, State]:
    found: dict[ObjectName, State] = {}
    for row in rows:
        name, entry = _name(service, row), row.get("key", "")
        if len(entry.encode()) != row["key_length"]:
            raise NotText(f"{name} has an entry whose name is no text, {entry!r}: it cannot be carried over")
        text = row.get("value_utf8")
        found.setdefault(name, {})[entry] = text.encode() if text is not None else bytes.fromhex(row["value"])
    return found


def _name(service: str, row: dict[str, Any]) -> ObjectName:
    return ObjectName(service, row["service_key"], row.get("scope") or "")
