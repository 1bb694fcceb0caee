"""`perdure export`: the state of objects and workflows into a file, to be kept or taken to another engine."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Annotated, BinaryIO
from urllib.parse import quote

import typer

from perdure.cli.moving.state_file import encode
from perdure.cli.moving.state_tables import objects_of, services_with_state
from perdure.cli.options import OnlyServices
from perdure.cli.query import one_of, rows_of
from perdure.cli.remote import ADMIN
from perdure.errors import UsageError


def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What to write; - is standard output.")],
    service: OnlyServices = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write the state of virtual objects and workflows into a file of JSON lines, for `perdure import`.

    The state and nothing else: no invocations, journals, promises, timers, schedules or idempotency keys.
    """
    services = services_with_state()
    for each in service or []:
        if each not in services:
            ADMIN.ask_json("GET", f"/services/{quote(each, safe='')}")  # which says so if there is none
    services = [each for each in services if not service or each in service]
    _say_what_runs(services)
    objects = values = 0
    with _written(file, force=force) as out:
        for each in services:
            for name, state in objects_of(each):
                out.write(encode(name, state))
                objects += 1
                values += len(state)
    of = f" of {', '.join(services)}" if services else ""
    print(f"exported {objects} objects with {values} values{of}", file=sys.stderr)


def _say_what_runs(services: list[str]) -> None:
    if not services:
        return
    [row] = rows_of(
        f"select count(*) as open from sys_invocation where {one_of('target_service_name', services)}"
        " and status <> 'completed'"
    )
    if row["open"]:
        print(
            f"warning: invocations of {', '.join(services)} go on ({row['open']} of them): they are not in the file, "
            "nor is what they change from here on",
            file=sys.stderr,
        )


@contextmanager
def _written(file: str, *, force: bool) -> Generator[BinaryIO]:
    """The file, which has its name only once it is whole."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    if path.exists() and not force:
        raise UsageError(f"{file} is there already: --force replaces it")
    part = path.with_name(f".perdure-{token_hex(8)}.part")
    try:
        with part.open("xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {(error.strerror or str(error)).lower()}") from error
    finally:
        part.unlink(missing_ok=True)
