"""`perdure import`: the state of objects and workflows out of a file of `perdure export`.

Asked again, it finds what it did before, and goes on: an object that has the very state of the file is done.
"""

import sys
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, BinaryIO
from urllib.parse import quote

import msgspec
import typer

from perdure.cli.exits import Exit
from perdure.cli.moving.state_file import ObjectName, State, decode
from perdure.cli.moving.state_tables import states_like
from perdure.cli.options import OnlyServices
from perdure.cli.remote import ADMIN, AskAgain, RequestRefused, patiently
from perdure.cli.tables import harmless, shortened
from perdure.errors import UsageError

OBJECTS_AT_ONCE = 500
BYTES_AT_ONCE = 4 * 1024 * 1024
KEY_BYTES_AT_ONCE = 128 * 1024
"""Of keys: they all stand in one query, and its size is limited."""
WRITERS = 16
ARRIVES_WITHIN_S = 10.0
AS_NUMBERS_MAX = 256 * 1024
TOLD_MAX = 10
EMPTY = urlsafe_b64encode(sha256().digest()).rstrip(b"=").decode()
"""The version of a state without entries."""


class Outcome(StrEnum):
    """What became of an object, as the summary puts it."""

    IMPORTED = "imported"
    TO_BE_IMPORTED = "would be imported"
    THERE = "there already"
    OTHER = "left as they are, with another state: --force replaces it"
    REFUSED = "refused by the engine"
    NOT_NOW = "not taken for now: the same command again tries it"
    NOT_YET = "not there yet: a handler has the key, or changed the state first; the same command again tells"


FINE = (Outcome.IMPORTED, Outcome.TO_BE_IMPORTED, Outcome.THERE)


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `perdure export` wrote; - is standard input.")],
    service: OnlyServices = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the state of objects that have another one.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Give objects and workflows the state that a file of `perdure export` holds.

    An object that has another state is left as it is. The same command again goes on where this one ended.
    """
    counts: Counter[Outcome] = Counter()
    try:
        with _opened(file) as lines, ThreadPoolExecutor(WRITERS) as pool:
            wanted = (each for each in decode(lines) if not service or each[0].service in service)
            for batch in _batches(wanted):
                for name, outcome, why in _carried(batch, pool, force=force, dry_run=dry_run):
                    counts[outcome] += 1
                    if outcome not in FINE:
                        _tell(name, why or outcome, sum(counts[each] for each in Outcome if each not in FINE))
    finally:
        shown = [each for each in Outcome if counts[each]] or [Outcome.IMPORTED]
        print("\n".join(f"{counts[each]} {each}" for each in shown))
    if service and not counts:
        raise UsageError(f"{file} holds no object of {' or '.join(service)}")
    if counts.keys() - set(FINE):
        raise typer.Exit(Exit.FAILED)


def _tell(name: ObjectName, why: str, number: int) -> None:
    if number <= TOLD_MAX:
        print(f"{harmless(shortened(str(name)))}: {why}", file=sys.stderr)
    elif number == TOLD_MAX + 1:
        print("and more", file=sys.stderr)


def _carried(
    batch: dict[ObjectName, State], pool: ThreadPoolExecutor, *, force: bool, dry_run: bool
) -> Iterator[tuple[ObjectName, Outcome, str | None]]:
    """Writes the objects of a batch, all of one service; what became of each, with the reason of a refusal."""
    service = next(iter(batch)).service
    try:
        patiently(lambda: ADMIN.ask("GET", f"/services/{quote(service, safe='')}"))
    except RequestRefused as error:
        yield from ((name, _outcome_of(error), str(error)) for name in batch)
        return
    present = states_like(service, batch)
    versions: dict[ObjectName, str | None] = {}
    for name, state in batch.items():
        there = present.get(name, {})
        if there == state:
            yield name, Outcome.THERE, None
        elif there != {} and not force:
            yield name, Outcome.OTHER, None
        elif dry_run:
            yield name, Outcome.TO_BE_IMPORTED, None
        else:
            versions[name] = None if force else EMPTY  # so that who came first is not overwritten
    refusals = pool.map(_refusal_of, versions, [batch[name] for name in versions], versions.values())
    refused = {name: refusal for name, refusal in zip(versions, refusals, strict=True) if refusal is not None}
    sent = {name: batch[name] for name in versions if name not in refused}
    done = states_like(service, {name: batch[name] for name in refused}) if refused else {}
    for name, refusal in refused.items():
        if done.get(name, {}) == batch[name]:  # by a request that was answered with an error that passed
            yield name, Outcome.IMPORTED, None
        else:
            yield name, _outcome_of(refusal), str(refusal)
    missing = _missing(service, sent)
    yield from ((name, Outcome.NOT_YET if name in missing else Outcome.IMPORTED, None) for name in sent)


def _refusal_of(name: ObjectName, state: State, version: str | None) -> RequestRefused | None:
    """Writes the state of an object, again while errors may pass; the error if the engine refused it.

    The documented form of a value is a list of numbers. Engines take a text too, which is a quarter as long: for large
    states, as there is a limit of 2 MiB (official engine) to what may be sent.
    """
    in_short = sum(map(len, state.values())) > AS_NUMBERS_MAX
    wanted = {
        "object_key": name.key,
        "scope": name.scope or None,
        "new_state": {entry: _text_of(value) if in_short else list(value) for entry, value in state.items()},
        "version": version,
    }
    path = f"/services/{quote(name.service, safe='')}/state"
    body = msgspec.json.encode(wanted)
    try:
        patiently(lambda: ADMIN.ask("POST", path, body, {"content-type": "application/json"}))
    except RequestRefused as error:
        return error
    return None


def _outcome_of(refusal: RequestRefused) -> Outcome:
    return Outcome.NOT_NOW if isinstance(refusal, AskAgain) else Outcome.REFUSED


def _text_of(value: bytes) -> str | list[int]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return list(value)


def _missing(service: str, sent: dict[ObjectName, State]) -> set[ObjectName]:
    """The objects that do not have the state that was sent within a while: an engine makes it later, or not at all."""
    deadline = time.monotonic() + ARRIVES_WITHIN_S
    missing = sent
    while missing:
        present = states_like(service, missing)
        missing = {name: state for name, state in missing.items() if present.get(name, {}) != state}
        if time.monotonic() > deadline:
            break
        if missing:
            time.sleep(0.05)
    return set(missing)


def _batches(objects: Iterable[tuple[ObjectName, State]]) -> Iterator[dict[ObjectName, State]]:
    """Groups objects, in order, for one query each: all of one service, none twice, within the limits on size."""
    batch: dict[ObjectName, State] = {}
    held = keys_held = 0
    for name, state in objects:
        size, key_size = sum(map(len, state.values())), len(name.key.encode())
        full = (
            len(batch) == OBJECTS_AT_ONCE
            or held + size > BYTES_AT_ONCE
            or keys_held + key_size > KEY_BYTES_AT_ONCE
            or name in batch
        )
        if batch and (full or next(iter(batch)).service != name.service):
            yield batch
            batch, held, keys_held = {}, 0, 0
        batch[name] = state
        held += size
        keys_held += key_size
    if batch:
        yield batch


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return open(file, "rb")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {(error.strerror or str(error)).lower()}") from error
