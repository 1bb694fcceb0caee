"""What a store holds of the steps that handlers ran: read from its file, while an engine has it or after its death.

Together with a `CallLog` it answers the question of durable execution: was anything done again whose result was
recorded?
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import MessageType

_STEPS = """
select i.id, i.service, j.type, j.payload
from journal j join invocation i on i.number = j.invocation
where j.type in (?, ?)
order by j.invocation, j.idx
"""


class Step(msgspec.Struct, frozen=True):
    """A run in an invocation's journal."""

    key: str
    """What `perdure.run_key()` is inside of it."""
    invocation_id: str
    service: str
    name: str
    result: bytes | None = None
    """None: it has none yet, or failed for good."""
    recorded: bool = False
    """Whether its outcome is in the journal. If so it must not run again."""


def read_steps(database: Path) -> list[Step]:
    """All steps of all invocations, by invocation and then in their order."""
    steps: dict[str, Step] = {}
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        for invocation_id, service, type, payload in connection.execute(
            _STEPS, (MessageType.RUN, MessageType.RUN_COMPLETION)
        ):
            if type == MessageType.RUN:
                command = pb.RunCommandMessage.FromString(payload)
                key = f"{invocation_id}-{command.result_completion_id}"
                steps[key] = Step(key, invocation_id, service, command.name)
            else:
                outcome = pb.NotificationMessage.FromString(payload)
                key = f"{invocation_id}-{outcome.completion_id}"
                result = outcome.value.content if outcome.HasField("value") else None
                steps[key] = msgspec.structs.replace(steps[key], result=result, recorded=True)
    return list(steps.values())


def check_integrity(database: Path) -> str:
    """What SQLite's own check says of the file: "ok", or what is wrong."""
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return "; ".join(str(row[0]) for row in connection.execute("pragma integrity_check"))
