"""A workbench for the processor: a store in a temporary folder, a clock that stands still, services played by hand.

`commit` is the only way from a batch to its effects, so what a test sees of effects is what was on disk first.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from perdure.engine.config import EngineConfig
from perdure.engine.deployment import Deployment
from perdure.engine.effects import Effect, Notify, Respond, StartAttempt, StopAttempt
from perdure.engine.events import (
    AttemptStarted,
    Event,
    MessageReceived,
    Submitted,
    Target,
)
from perdure.engine.invocation import Invocation, Status
from perdure.engine.ledger import Ledger
from perdure.engine.processor import Processor
from perdure.engine.registry import Registry
from perdure.engine.store.database import Database
from perdure.engine.store.reader import Reader
from perdure.engine.store.writer import Writer
from perdure.protocol.discovery import HandlerManifest, Manifest, ServiceManifest
from perdure.protocol.ids import DeploymentId, idempotent_invocation_id, new_invocation_id, workflow_invocation_id
from perdure.protocol.messages import Envelope, MessageType, envelope

START_MS = 1_800_000_000_000

MANIFEST = Manifest(
    protocol_mode="BIDI_STREAM",
    min_protocol_version=5,
    max_protocol_version=7,
    services=[
        ServiceManifest(name="Greeter", ty="SERVICE", handlers=[HandlerManifest(name="greet")]),
        ServiceManifest(
            name="Fragile",
            ty="SERVICE",
            retry_policy_max_attempts=3,
            retry_policy_initial_interval=100,
            handlers=[HandlerManifest(name="pause"), HandlerManifest(name="kill", retry_policy_on_max_attempts="KILL")],
        ),
        ServiceManifest(
            name="Counter",
            ty="VIRTUAL_OBJECT",
            handlers=[HandlerManifest(name="add", ty="EXCLUSIVE"), HandlerManifest(name="get", ty="SHARED")],
        ),
        ServiceManifest(
            name="Signup",
            ty="WORKFLOW",
            handlers=[HandlerManifest(name="run", ty="WORKFLOW"), HandlerManifest(name="approve", ty="SHARED")],
        ),
    ],
)


class Table:
    """One engine's core on a store; `crash` gives the next one on the same store."""

    def __init__(self, folder: Path, now_ms: int = START_MS) -> None:
        self.folder = folder
        self.now_ms = now_ms
        self.database = Database(folder)
        self.reader = Reader(self.database.reading)
        self.writer = Writer(self.database.writing)
        config = EngineConfig(data_dir=folder)
        deployment = Deployment(
            id=DeploymentId("dp_test"),
            uri="http://localhost:9080/",
            manifest=MANIFEST,
            revisions=dict.fromkeys((service.name for service in MANIFEST.services), 1),
            created_at_ms=START_MS,
        )
        self.registry = Registry(config.handler_defaults, [deployment])
        self.ledger = Ledger(self.reader, self.registry, config)
        self.processor = Processor(self.ledger)
        self.processor.recover(now_ms)
        self.requests = 0
        self.reborn: Table | None = None

    def crash(self) -> "Table":
        """What was not committed is gone."""
        self.database.close()
        self.reborn = Table(self.folder, self.now_ms)
        return self.reborn

    def close(self) -> None:
        """Close the store, whichever table has it by now."""
        self.database.close()
        if self.reborn is not None:
            self.reborn.close()

    def apply(self, event: Event) -> None:
        self.processor.apply(event, self.now_ms)

    def commit(self) -> list[Effect]:
        self.begin_commit()
        return self.end_commit()

    def begin_commit(self) -> None:
        """The batch is on its way to the disk until `end_commit`; events go on meanwhile."""
        self.sealed = self.ledger.take_batch().seal()

    def end_commit(self) -> list[Effect]:
        self.writer.commit(self.sealed)
        batch = self.ledger.committed()
        self.ledger.forget(batch)
        return [*batch.effects, *self._recovered()]

    def _recovered(self) -> Iterator[StartAttempt]:
        """What recovery had wait for a slot, and gets it now."""
        while (number := self.ledger.flow.take(self.now_ms)) is not None:
            invocation = self.ledger.find_number(number)
            assert invocation is not None
            yield StartAttempt(number, invocation.standing)

    def submit(
        self,
        path: str,
        body: bytes = b"",
        *,
        wants_outcome: bool = True,
        idempotency_key: str | None = None,
        execute_at_ms: int = 0,
    ) -> int:
        """Submit `Service/handler` or `Service/key/handler`; the number of the request."""
        service, *key, handler = path.split("/")
        target = Target(service, handler, key[0] if key else None)
        self.requests += 1
        is_main = (service, handler) == ("Signup", "run")
        id = workflow_invocation_id(service, key[0]) if is_main else new_invocation_id(target.key)
        if idempotency_key is not None:
            id = idempotent_invocation_id(service, target.key, handler, idempotency_key)
        self.apply(Submitted(self.requests, id, target, body, (), idempotency_key, execute_at_ms, wants_outcome))
        return self.requests

    def begin(self, path: str, body: bytes = b"", **options: object) -> Invocation:
        """Submit, commit, and start the attempt: the invocation runs."""
        self.submit(path, body, **options)  # type: ignore[arg-type]
        return self.run_one(self.commit())

    def run_one(self, effects: Iterable[Effect]) -> Invocation:
        """Carry out the one StartAttempt among the effects."""
        (start,) = [effect for effect in effects if isinstance(effect, StartAttempt)]
        return self.run(start)

    def run(self, start: StartAttempt) -> Invocation:
        self.apply(AttemptStarted(start.number))
        invocation = self.ledger.find_number(start.number)
        assert invocation is not None
        assert invocation.status is Status.RUNNING, "the attempt did not take place"
        return invocation

    def say(self, invocation: Invocation, *messages: object, requested_ack: bool = False) -> None:
        """The service says these messages in the running attempt."""
        attempt = invocation.attempt
        for message in messages:
            said = message if isinstance(message, Envelope) else envelope(message, requested_ack=requested_ack)  # type: ignore[arg-type]
            self.apply(MessageReceived(invocation.number, attempt, said))

    def journal(self, invocation: Invocation) -> list[MessageType]:
        """The types of the entries on disk."""
        return [MessageType(entry.type) for entry in self.reader.journal(invocation.number)]

    def status(self, invocation: Invocation) -> Status:
        """As it is on disk."""
        stored = self.reader.invocation(invocation.number)
        assert stored is not None
        return stored.status


def starts(effects: Iterable[Effect]) -> list[StartAttempt]:
    return [effect for effect in effects if isinstance(effect, StartAttempt)]


def notifications(effects: Iterable[Effect]) -> list[Envelope]:
    return [effect.envelope for effect in effects if isinstance(effect, Notify)]


def responses(effects: Iterable[Effect]) -> dict[int, object]:
    return {effect.request: effect.answer for effect in effects if isinstance(effect, Respond)}


def stops(effects: Iterable[Effect]) -> list[StopAttempt]:
    return [effect for effect in effects if isinstance(effect, StopAttempt)]
