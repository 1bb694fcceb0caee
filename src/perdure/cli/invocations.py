"""`perdure invocations`: find invocations, see why they wait, act on one or many."""

import sys
from typing import Annotated, Any, TypeAlias
from urllib.parse import quote

import typer

from perdure.cli.conversation import conversation_lines, records_of
from perdure.cli.exits import Exit
from perdure.cli.journal import journal_tree
from perdure.cli.options import AsJson, Yes
from perdure.cli.query import literal, one_of, rows_of
from perdure.cli.remote import ADMIN
from perdure.cli.selection import MOST, select, unknown_services
from perdure.cli.tables import age, harmless, print_fields, print_json, print_table, shortened, until, when
from perdure.errors import UsageError
from perdure.server.durations import parse_duration_ms

app = typer.Typer(no_args_is_help=True, help="Find invocations, see why they wait, act on them.")

STATUSES = ("scheduled", "pending", "ready", "running", "backing-off", "suspended", "paused", "completed")
_OPEN = [status for status in STATUSES if status != "completed"]
_TRIED = ["ready", "running", "backing-off", "suspended"]
_RESTING = ["paused", "backing-off"]

InvocationId: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="Such as inv_1aB..., the x-restate-id of the call.")
]
Targets: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="TARGET...", help="Ids; or Service, Service/handler, Object/key: all of these.")
]
Deployment: TypeAlias = Annotated[str | None, typer.Option(help="`latest`, `keep`, or the id of a deployment.")]


@app.command("list")
def list_invocations(
    service: Annotated[str | None, typer.Option(help="Of this service.")] = None,
    handler: Annotated[str | None, typer.Option(help="Of this handler.")] = None,
    key: Annotated[str | None, typer.Option(help="Of this object or workflow.")] = None,
    status: Annotated[list[str] | None, typer.Option(help="In this status; may be given again.")] = None,
    deployment: Annotated[str | None, typer.Option(help="That began on this deployment.")] = None,
    all_statuses: Annotated[bool, typer.Option("--all", help="Those that have ended too.")] = False,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="The oldest in front.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List invocations that have not ended, the latest in front, with what each waits for."""
    for each in status or ():
        if each not in STATUSES:
            raise UsageError(f"--status {each}: there is {', '.join(STATUSES)}")
    said = {
        "target_service_name": service,
        "target_handler_name": handler,
        "target_service_key": key,
        "pinned_deployment_id": deployment,
    }
    where = [f"{column} = {literal(value)}" for column, value in said.items() if value is not None]
    if status or not all_statuses:
        where.append(one_of("status", status or _OPEN))
    rows = rows_of(
        "select id, target, status, created_at, waiting_reason, completion_failure from sys_invocation"
        f" where {' and '.join(where) or 'true'}"
        f" order by created_at {'asc' if oldest_first else 'desc'} limit {limit}"
    )
    if as_json:
        print_json(rows)
    elif not rows:
        print("none")
        if service is not None and (unknown := unknown_services([service])) is not None:
            print(f"perdure: {unknown}", file=sys.stderr)
    else:
        print_table(
            ("ID", "TARGET", "STATUS", "CREATED", "WHY"),
            [(row["id"], shortened(row["target"]), row["status"], age(row["created_at"]), _why(row)) for row in rows],
        )


@app.command("get", hidden=True)
def get(invocation_id: InvocationId) -> None:
    """`describe --json`, for scripts that know it by this name."""
    describe(invocation_id, as_json=True)


@app.command()
def describe(invocation_id: InvocationId, as_json: AsJson = False) -> None:
    """Show all about an invocation: its status, why it waits, what it did, and what failed."""
    view = ADMIN.ask_json("GET", _path(invocation_id))
    if as_json:
        print_json(view)
        return
    failure = view.get("last_failure")
    print_fields(
        [
            ("id", view["id"]),
            ("target", view["target"]),
            ("status", view["status"]),
            ("why", view.get("waiting_reason")),
            ("result", view.get("completion_failure") or view.get("completion_result")),
            ("created", age(view["created_at"])),
            ("starts" if view["status"] == "scheduled" else "was to start", when(view.get("scheduled_start_at"))),
            ("began", age(view.get("running_at"))),
            ("ended", age(view.get("completed_at"))),
            ("invoked by", _invoked_by(view)),
            ("restarted from", view.get("restarted_from")),
            ("scope", view.get("scope")),
            ("limit key", view.get("limit_key")),
            ("priority", view.get("priority")),
            ("idempotency key", view.get("idempotency_key")),
            ("deployment", view.get("pinned_deployment_id")),
            ("failed attempts", view.get("retry_count") or None),
            ("next attempt", until(view.get("next_retry_at"))),
            ("last failure", f"[{failure['code']}] {failure['message']}" if failure else None),
        ]
    )
    print()
    for line in journal_tree(view["id"]):
        print(harmless(line))


@app.command()
def conversation(invocation_id: InvocationId, as_json: AsJson = False) -> None:
    """Show what its agents asked models and tools, and were told, with tokens, times and failures."""
    view = ADMIN.ask_json("GET", _path(invocation_id))
    records = list(records_of(view["id"]))
    if as_json:
        print_json(records)
        return
    why = _why(view)
    print(harmless(f"{view['id']} {view['target']} {view['status']}{f': {why}' if why else ''}"), end="\n\n")
    for line in conversation_lines(records) if records else ["its journal was purged"]:
        print(line)


@app.command()
def cancel(
    targets: Targets,
    then_kill: Annotated[str | None, typer.Option(help="Kill what has not ended after so long, such as 30s.")] = None,
    yes: Yes = False,
) -> None:
    """Ask invocations, and those they wait for, to end: their handlers may clean up."""
    if then_kill is not None:
        _check_grace(then_kill)
    _act("cancel", select(targets, _OPEN, "cancel", yes=yes), kill_after=then_kill)


@app.command()
def kill(targets: Targets, yes: Yes = False) -> None:
    """End invocations, and those they wait for, at once: no handler is asked."""
    _act("kill", select(targets, _OPEN, "kill", yes=yes))


@app.command()
def pause(targets: Targets, yes: Yes = False) -> None:
    """Make no more attempts until they are resumed."""
    _act("pause", select(targets, _TRIED, "pause", yes=yes))


@app.command()
def resume(targets: Targets, deployment: Deployment = None, yes: Yes = False) -> None:
    """Try paused, suspended or backing-off invocations now; of many, suspended ones only with --deployment."""
    statuses = _RESTING if deployment is None else [*_RESTING, "suspended"]
    _act("resume", select(targets, statuses, "resume", yes=yes), deployment=deployment)


@app.command("restart-as-new")
def restart_as_new(
    targets: Targets,
    from_entry: Annotated[
        int | None, typer.Option("--from", min=0, help="Take over the journal up to this entry; else the input alone.")
    ] = None,
    deployment: Deployment = None,
    yes: Yes = False,
) -> None:
    """Run what has ended again, as new invocations with the same input."""
    ids = select(targets, ["completed"], "restart", yes=yes)
    _act("restart-as-new", ids, **{"from": from_entry, "deployment": deployment})


@app.command()
def purge(targets: Targets, yes: Yes = False) -> None:
    """Forget what has ended, with its result."""
    _act("purge", select(targets, ["completed"], "purge", yes=yes))


@app.command("purge-journal")
def purge_journal(targets: Targets, yes: Yes = False) -> None:
    """Forget the journals of what has ended; the results are kept."""
    _act("purge-journal", select(targets, ["completed"], "purge-journal", yes=yes))


_DONE = {
    "kill": "killed {id}",
    "pause": "paused {id}",
    "resume": "resumed {id}",
    "purge": "purged {id}",
    "purge-journal": "purged the journal of {id}",
}


def _check_grace(then_kill: str) -> None:
    try:
        grace_ms = parse_duration_ms(then_kill)
    except UsageError as error:
        raise UsageError(f"--then-kill: {error}") from None
    if grace_ms == 0:
        raise UsageError(f"--then-kill {then_kill} leaves no time to clean up: `perdure invocations kill` ends at once")


def _act(action: str, ids: list[str], **options: str | int | None) -> None:
    """Does it to each; one that is refused does not keep the others from it."""
    said = {name: value for name, value in options.items() if value is not None}
    refused = 0
    for start in range(0, len(ids), MOST):
        wanted = {"invocation_ids": ids[start : start + MOST], **said}
        answer = ADMIN.ask_json("POST", f"/internal/invocations_batch_operations/{action}", wanted)
        for each in answer["succeeded"]:
            print(_said(action, each, answer.get("cancelled", {}), options.get("kill_after")))
        for each in answer["failed"]:
            print(f"perdure: {each['error']}", file=sys.stderr)
        refused += len(answer["failed"])
    if len(ids) > 1 and refused:
        print(f"perdure: {refused} of {len(ids)} refused", file=sys.stderr)
    if refused:
        raise typer.Exit(Exit.FAILED)


def _said(action: str, done: Any, cancelled: dict[str, Any], kill_after: object) -> str:
    """What was done to one; `done` is its id, or of a restart the old and the new."""
    match action:
        case "restart-as-new":
            return f"restarted {done['old_invocation_id']} as {done['new_invocation_id']}"
        case "cancel":
            told = cancelled[done]
            note = f": {told['note']}" if told.get("note") else ""
            if told["done"]:
                return f"cancelled {done}{note}"
            killed = f", and kills it in {kill_after} if it goes on" if kill_after is not None else ""
            return f"asked {done} to cancel{killed}{note}"
        case _:
            return _DONE[action].format(id=done)


def _why(row: dict[str, Any]) -> str | None:
    return row.get("waiting_reason") or row.get("completion_failure")


def _invoked_by(view: dict[str, Any]) -> str:
    by = view.get("invoked_by_target") or view.get("schedule_id") or ""
    return " ".join(part for part in (view.get("invoked_by", "ingress"), by, view.get("invoked_by_id")) if part)


def _path(invocation_id: str) -> str:
    return f"/invocations/{quote(invocation_id, safe='')}"
