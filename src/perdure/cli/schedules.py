"""`perdure schedules`: what the engine starts by the clock."""

import json
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import quote

import typer

from perdure.cli.consent import agree
from perdure.cli.options import AsJson, Yes, given, json_of, service_and_handler
from perdure.cli.remote import ADMIN
from perdure.cli.tables import age, print_fields, print_json, print_table, shortened, until
from perdure.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Start handlers by the clock: cron and intervals.")

ScheduleId: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="As `perdure schedules list` shows it.")]


@app.command("list")
def list_schedules(as_json: AsJson = False) -> None:
    """List the schedules, with the next time of each."""
    schedules = ADMIN.ask_json("GET", "/schedules")["schedules"]
    if as_json:
        print_json(schedules)
    elif not schedules:
        print("no schedules yet: `perdure schedules create ID Service/handler --cron '0 9 * * *'` makes one")
    else:
        rows = [
            (each["id"], shortened(_target(each)), _when(each), _next(each), each["last_error"] or each["last_failure"])
            for each in schedules
        ]
        print_table(("ID", "TARGET", "WHEN", "NEXT", "ERROR"), rows)


Cron: TypeAlias = Annotated[str | None, typer.Option(help="Such as '0 9 * * MON-FRI'; six fields begin with seconds.")]
Every: TypeAlias = Annotated[str | None, typer.Option(help="Such as 15m or PT1H, in place of --cron.")]
Timezone: TypeAlias = Annotated[
    str | None, typer.Option(help="In which --cron is meant, such as Europe/Berlin; else UTC.")
]
Input: TypeAlias = Annotated[str | None, typer.Option(help="The input, as JSON. Else the body is empty.")]
Key: TypeAlias = Annotated[str | None, typer.Option(help="The key of a virtual object.")]
Scope: TypeAlias = Annotated[str | None, typer.Option(help="The scope in which it runs.")]
LimitKey: TypeAlias = Annotated[str | None, typer.Option(help="The limit key under which it counts in its scope.")]
WhenStillRunning: TypeAlias = Annotated[
    Literal["allow", "skip"] | None, typer.Option(help="skip: start none while the last one still runs. Else allow.")
]
WhenMissed: TypeAlias = Annotated[
    Literal["once", "none"] | None,
    typer.Option(help="Times missed while no engine ran: made up for by one (once), or by none. Else once."),
]
Description: TypeAlias = Annotated[str | None, typer.Option(help="For those who read the list.")]


@app.command()
def create(
    schedule_id: Annotated[str, typer.Argument(metavar="ID", help="A name: letters, digits, `_`, `.` and `-`.")],
    target: Annotated[str, typer.Argument(metavar="SERVICE/HANDLER", help="What to start.")],
    cron: Cron = None,
    every: Every = None,
    timezone: Timezone = None,
    input: Input = None,
    key: Key = None,
    scope: Scope = None,
    limit_key: LimitKey = None,
    overlap: WhenStillRunning = None,
    catch_up: WhenMissed = None,
    description: Description = None,
    paused: Annotated[bool, typer.Option("--paused", help="Do not begin before `resume`.")] = False,
) -> None:
    """Make a schedule."""
    times = {"cron": cron, "every": every, "timezone": timezone, "overlap": overlap, "catch_up": catch_up}
    wanted = _said(input, limit_key, description=description, **times)
    wanted |= {"id": schedule_id, "target": _parsed(target) | _named(key=key, scope=scope), "paused": paused}
    made = ADMIN.ask_json("POST", "/schedules", wanted)
    print(f"made {schedule_id}: {_summary(made)}")


@app.command()
def edit(
    schedule_id: ScheduleId,
    target: Annotated[str | None, typer.Argument(metavar="SERVICE/HANDLER", help="What to start from now on.")] = None,
    cron: Cron = None,
    every: Every = None,
    timezone: Timezone = None,
    input: Input = None,
    key: Key = None,
    scope: Scope = None,
    limit_key: LimitKey = None,
    overlap: WhenStillRunning = None,
    catch_up: WhenMissed = None,
    description: Description = None,
) -> None:
    """Change a schedule. What is left out stays as it is; '' takes away a key, a scope or a limit key."""
    times = {"cron": cron, "every": every, "timezone": timezone, "overlap": overlap, "catch_up": catch_up}
    wanted = _said(input, limit_key, description=description, **times)
    aimed = (_parsed(target) if target is not None else {}) | _named(key=key, scope=scope)
    if aimed:
        present = ADMIN.ask_json("GET", _path(schedule_id))
        wanted |= {"target": present["target"] | aimed, "version": present["version"]}
    if not wanted:
        raise UsageError(f"nothing to change: say what, as in `perdure schedules edit {schedule_id} --every 15m`")
    print(f"edited {schedule_id}: {_summary(ADMIN.ask_json('PATCH', _path(schedule_id), wanted))}")


@app.command()
def describe(schedule_id: ScheduleId, as_json: AsJson = False) -> None:
    """Show all about a schedule."""
    schedule = ADMIN.ask_json("GET", _path(schedule_id))
    if as_json:
        print_json(schedule)
        return
    print_fields(
        [
            ("id", schedule["id"]),
            ("description", schedule["description"] or None),
            ("target", _target(schedule)),
            ("scope", schedule["target"].get("scope")),
            ("limit key", schedule["limit_key"]),
            ("when", _when(schedule)),
            ("next", _next(schedule)),
            ("overlap", schedule["overlap"]),
            ("catch up", schedule["catch_up"]),
            ("input", json.dumps(schedule["input"], ensure_ascii=False) if "input" in schedule else None),
            ("version", schedule["version"]),
            ("made", age(schedule["created_at"])),
            ("last started", age(schedule["last_fired_at"])),
            ("last invocation", schedule["last_invocation_id"]),
            ("last skipped", age(schedule["last_skipped_at"])),
            ("last error", schedule["last_error"]),
            ("last failure", schedule["last_failure"]),
        ]
    )


@app.command()
def pause(schedule_id: ScheduleId) -> None:
    """Start nothing until it is resumed."""
    ADMIN.ask_json("PATCH", _path(schedule_id), {"paused": True})
    print(f"paused {schedule_id}")


@app.command()
def resume(schedule_id: ScheduleId) -> None:
    """Go on with the next time; those that went by meanwhile are gone."""
    print(f"resumed {schedule_id}: {_next(ADMIN.ask_json('PATCH', _path(schedule_id), {'paused': False}))}")


@app.command()
def trigger(schedule_id: ScheduleId) -> None:
    """Start one now, whatever its times; they stay as they are."""
    print(f"started {ADMIN.ask_json('POST', f'{_path(schedule_id)}/trigger', {})['invocation_id']}")


@app.command()
def delete(schedule_id: ScheduleId, yes: Yes = False) -> None:
    """Start nothing any more; what was started goes on."""
    agree(
        f"delete {schedule_id}?",
        yes=yes,
        show=lambda: print(f"{schedule_id}: {_summary(ADMIN.ask_json('GET', _path(schedule_id)))}"),
    )
    ADMIN.ask("DELETE", _path(schedule_id))
    print(f"deleted {schedule_id}")


def _path(schedule_id: str) -> str:
    return f"/schedules/{quote(schedule_id, safe='')}"


def _parsed(target: str) -> dict[str, Any]:
    service, handler = service_and_handler(target)
    return {"service": service, "handler": handler}


def _named(**names: str | None) -> dict[str, Any]:
    """The names that were said; one that is empty is taken away."""
    return {name: value or None for name, value in names.items() if value is not None}


def _said(input: str | None, limit_key: str | None, **others: str | None) -> dict[str, Any]:
    """The fields of a schedule that were said."""
    said = given(**others) | _named(limit_key=limit_key)
    if input is not None:
        said["input"] = json_of("--input", input)
    return said


def _summary(schedule: dict[str, Any]) -> str:
    return f"{_target(schedule)}, {_when(schedule)}, {_next(schedule)}"


def _target(schedule: dict[str, Any]) -> str:
    target = schedule["target"]
    return "/".join(part for part in (target["service"], target.get("key"), target["handler"]) if part)


def _when(schedule: dict[str, Any]) -> str:
    if schedule["every"] is not None:
        return f"every {schedule['every']}"
    return f"{schedule['cron']} {schedule['timezone']}"


def _next(schedule: dict[str, Any]) -> str:
    if schedule["paused"]:
        return "paused"
    return until(schedule["next_at"]) or "never"
