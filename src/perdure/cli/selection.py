"""Which invocations a command means: ids, or a service, a handler or an object's key, after a look at what they are."""

import sys
from collections.abc import Sequence

from perdure.cli.consent import agree
from perdure.cli.query import literal, one_of, rows_of
from perdure.cli.remote import ADMIN
from perdure.cli.tables import harmless, shortened
from perdure.errors import UsageError

MOST = 1_000
"""So many at once, which is what the engine takes in one request."""
_SHOWN = 10


def select(targets: Sequence[str], statuses: list[str], verb: str, *, yes: bool) -> list[str]:
    """The ids, each once; where they were not given one by one, after they were shown and a person agreed.

    Raises:
        UsageError: nothing is like that, or nobody is there to be asked.
    """
    ids = [target for target in targets if target.startswith("inv_")]
    filters = [target for target in targets if not target.startswith("inv_")]
    if not filters:
        return list(dict.fromkeys(ids))
    where = " or ".join(f"({condition(target)})" for target in filters)
    found = rows_of(
        f"select id, target, status from sys_invocation where ({where}) and {one_of('status', statuses)}"
        f" order by created_at limit {MOST}"
    )
    if not found and not ids:
        nothing = f"nothing to {verb}: no invocation of {', '.join(filters)} is in a status for that"
        unknown = unknown_services([target.partition("/")[0] for target in filters])
        raise UsageError(nothing if unknown is None else f"{nothing}; {unknown}")

    def show() -> None:
        for row in found[:_SHOWN]:
            print(f"{row['id']}  {shortened(harmless(row['target']))}  {row['status']}")
        if len(found) > _SHOWN:
            print(f"and {len(found) - _SHOWN} more")

    agree(f"{verb} {len(ids) + len(found)}?", yes=yes, show=show)
    if len(found) == MOST:
        print(f"the first {MOST}; again for more", file=sys.stderr)
    return list(dict.fromkeys([*ids, *(row["id"] for row in found)]))


def unknown_services(names: Sequence[str]) -> str | None:
    """Which of these names no service has, for the end of a message; None where all are known."""
    known: list[str] = [service["name"] for service in ADMIN.ask_json("GET", "/services")["services"]]
    unknown = sorted({name for name in names if name not in known})
    if not unknown:
        return None
    return f"no deployment has a service {' or '.join(unknown)}. There is {', '.join(known) or 'none yet'}"


def condition(target: str) -> str:
    """In SQL: `Service`, `Service/handler`, `Object/key` or `Object/key/handler`."""
    service, *rest = target.split("/")
    said = [f"target_service_name = {literal(service)}"]
    match rest:
        case []:
            pass
        case [name]:
            said.append(f"(target_handler_name = {literal(name)} or target_service_key = {literal(name)})")
        case [key, handler]:
            said += [f"target_service_key = {literal(key)}", f"target_handler_name = {literal(handler)}"]
        case _:
            raise UsageError(
                f"{target!r} is neither an id nor Service, Service/handler, Object/key, Object/key/handler"
            )
    return " and ".join(said)
