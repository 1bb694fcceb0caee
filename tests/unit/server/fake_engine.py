"""An engine for the server's tests: it serves a small manifest, answers as told, and keeps what it was asked."""

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from perdure.engine.addresses import Address, check_address
from perdure.engine.answers import Accepted, Done, Failure, Outcome
from perdure.engine.config import EngineConfig, HandlerDefaults
from perdure.engine.events import Target
from perdure.engine.invocation import Status
from perdure.engine.leftovers import Leftover, Leftovers
from perdure.engine.registration import GENTLE, Manner, Registration, plan
from perdure.engine.registry import Registry
from perdure.errors import Conflict, EngineStopping, PerdureError, TransportError, UnknownInvocation
from perdure.protocol.discovery import HandlerManifest, Manifest, Payload, ServiceManifest
from perdure.protocol.ids import (
    DeploymentId,
    InvocationId,
    idempotent_invocation_id,
    new_invocation_id,
    parse_awakeable_id,
    parse_invocation_id,
    workflow_invocation_id,
)

KEPT_UNTIL_MS = 1_800_000_000_073
CLAIM_SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"code": {"type": "string"}}}},
    },
    "required": ["amount"],
}
JSON = Payload(content_type="application/json")
CLAIM = Payload(content_type="application/json", json_schema=CLAIM_SCHEMA, required=True)

MANIFEST = Manifest(
    protocol_mode="BIDI_STREAM",
    min_protocol_version=5,
    max_protocol_version=7,
    services=[
        ServiceManifest(
            name="MultiAgentClaimApproval",
            ty="SERVICE",
            handlers=[HandlerManifest(name="run", input=CLAIM, output=JSON)],
        ),
        ServiceManifest(
            name="Echo",
            ty="SERVICE",
            handlers=[
                HandlerManifest(name="echo"),
                HandlerManifest(name="nothing", input=Payload(), output=Payload()),
                HandlerManifest(
                    name="raw",
                    input=Payload(content_type="application/octet-stream"),
                    output=Payload(content_type="application/octet-stream", set_content_type_if_empty=True),
                ),
                HandlerManifest(name="fail"),
                HandlerManifest(name="hang"),
                HandlerManifest(name="burst"),
                HandlerManifest(name="secret", ingress_private=True),
            ],
        ),
        ServiceManifest(
            name="Cart",
            ty="VIRTUAL_OBJECT",
            handlers=[
                HandlerManifest(name="add"),
                HandlerManifest(name="send"),
                HandlerManifest(name="peek", ty="SHARED"),
            ],
        ),
        ServiceManifest(
            name="Signup",
            ty="WORKFLOW",
            handlers=[HandlerManifest(name="run"), HandlerManifest(name="status", ty="SHARED")],
        ),
    ],
)


class Stored(Struct, frozen=True):
    target: Target
    status: str


class View(Struct, frozen=True):
    id: str
    target_service_name: str
    target_handler_name: str
    status: str


class Asked(Struct, frozen=True):
    """What the engine was asked to do."""

    target: Target
    body: bytes
    headers: tuple[tuple[str, str], ...]
    idempotency_key: str | None
    delay_ms: int | None = None
    limit_key: str | None = None


class NothingLeft(Leftovers):
    """No invocation is pinned to any deployment."""

    def __init__(self) -> None:
        pass

    def any(self, deployment_id: str) -> bool:
        return False

    def count(self, deployment_id: str) -> int:
        return 0

    def by_status(self, deployment_id: str) -> dict[Status, int]:
        return {}

    def first(self, deployment_id: str, limit: int) -> list[Leftover]:
        return []


class FakeDeployments:
    """Every endpoint serves `MANIFEST`, except that nothing answers on port 1."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.left = NothingLeft()
        self._count = 0

    async def committed(self) -> Registry:
        return self.registry

    async def register(
        self,
        address: Address,
        *,
        manner: Manner = GENTLE,
        dry_run: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> Registration:
        if address.uri.endswith(":1"):
            raise TransportError(f"{address.uri} cannot be reached: connection refused")
        return self.take_in(check_address(address), MANIFEST, manner, dry_run)

    def take_in(
        self, address: Address, manifest: Manifest, manner: Manner = GENTLE, dry_run: bool = False
    ) -> Registration:
        self._count += 1
        registration = plan(
            self.registry,
            address,
            manifest,
            new_id=DeploymentId(f"dp_{self._count}"),
            now_ms=1_700_000_000_000,
            manner=manner,
        )
        if not dry_run:
            self.registry.put(registration.deployment)
        return registration


class FakeEngine:
    """Echoes bodies; `Echo/fail` fails as `failure` says, `Echo/hang` waits for `release`, `Echo/burst` has a bug."""

    def __init__(self, config: EngineConfig | None = None) -> None:
        self.config = config or EngineConfig()
        self.registry = Registry(HandlerDefaults())
        self.started = True
        self.stopping = False
        self.failure = Failure(500, "no way")
        self.refusal: PerdureError | None = None
        self.invocations = self
        self.release = asyncio.Event()
        self.asked: list[Asked] = []
        self.told: list[tuple[object, ...]] = []
        self.described: list[str] = []
        self.outcomes: dict[str, Outcome | None] = {}
        self.targets: dict[str, Target] = {}
        self.deployments = FakeDeployments(self.registry)
        self.deploy("http://first:9080", MANIFEST)

    @property
    def ready(self) -> bool:
        return self.started and not self.stopping

    def deploy(self, uri: str, manifest: Manifest) -> None:
        self.deployments.take_in(Address(uri), manifest)

    async def call(
        self,
        target: Target,
        body: bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        idempotency_key: str | None = None,
        limit_key: str | None = None,
    ) -> Outcome:
        invocation_id, new = self._take_in(target, idempotency_key)
        self.asked.append(Asked(target, body, tuple(headers), idempotency_key, limit_key=limit_key))
        if self.refusal is not None:
            raise self.refusal
        match target.handler:
            case "fail":
                outcome = Outcome(invocation_id, failure=self.failure)
            case "burst":
                raise ZeroDivisionError("a bug, with private details")
            case "hang":
                await self.release.wait()
                outcome = Outcome(invocation_id, body)
            case "run" if target.service == "Signup" and not new:
                return Outcome(invocation_id, failure=Failure(409, "runs once"), new=False)
            case _:
                outcome = Outcome(invocation_id, body)
        self.outcomes[invocation_id] = outcome = replace(outcome, kept_until_ms=KEPT_UNTIL_MS)
        return outcome

    async def send(
        self,
        target: Target,
        body: bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        idempotency_key: str | None = None,
        limit_key: str | None = None,
        delay_ms: int | None = None,
    ) -> Accepted:
        invocation_id, new = self._take_in(target, idempotency_key)
        self.asked.append(Asked(target, body, tuple(headers), idempotency_key, delay_ms, limit_key))
        return Accepted(invocation_id, new, 1_800_000_000_007 if delay_ms is not None else None)

    async def attach(self, invocation_id: str) -> Outcome:
        self.committed(invocation_id)
        await self.release.wait()
        return Outcome(InvocationId(invocation_id), b"attached", kept_until_ms=KEPT_UNTIL_MS)

    def output(self, invocation_id: str) -> Outcome | None:
        self.committed(invocation_id)
        return self.outcomes[invocation_id]

    async def resolve_awakeable(self, awakeable_id: str, value: bytes) -> None:
        parse_awakeable_id(awakeable_id)
        self.told.append(("resolve", awakeable_id, value))

    async def reject_awakeable(self, awakeable_id: str, message: str, code: int = 500) -> None:
        parse_awakeable_id(awakeable_id)
        self.told.append(("reject", awakeable_id, message, code))

    async def send_signal(self, invocation_id: str, name: str, result: bytes | Failure) -> None:
        self.committed(invocation_id)
        self.told.append(("signal", invocation_id, name, result))

    async def complete_promise(
        self, service: str, key: str, name: str, result: bytes | Failure, *, scope: str | None = None
    ) -> None:
        self.told.append(("promise", service, key, name, result, scope))

    async def cancel(self, invocation_id: str, *, kill_after_ms: int | None = None) -> Done:
        self._act("cancel", invocation_id)
        return Done(False)

    async def kill(self, invocation_id: str) -> None:
        self._act("kill", invocation_id)

    async def resume(self, invocation_id: str, *, deployment: str = "keep") -> None:
        self._act("resume", invocation_id)

    def describe(self, invocation_id: str) -> View:
        stored = self.committed(invocation_id)
        self.described.append(invocation_id)
        return View(invocation_id, stored.target.service, stored.target.handler, stored.status)

    def committed(self, invocation_id: str) -> Stored:
        parse_invocation_id(invocation_id)
        target = self.targets.get(invocation_id)
        if target is None:
            raise UnknownInvocation(invocation_id)
        return Stored(target, "running" if self.outcomes[invocation_id] is None else "completed")

    def _take_in(self, target: Target, idempotency_key: str | None) -> tuple[InvocationId, bool]:
        if self.stopping:
            raise EngineStopping("the engine is stopping")
        if target.service == "Signup" and target.handler == "run":
            assert target.key is not None
            invocation_id = workflow_invocation_id(target.service, target.key)
        elif idempotency_key is not None:
            invocation_id = idempotent_invocation_id(target.service, target.key, target.handler, idempotency_key)
        else:
            invocation_id = new_invocation_id()
        new = invocation_id not in self.targets
        self.targets[invocation_id] = target
        self.outcomes.setdefault(invocation_id, None)
        return invocation_id, new

    def _act(self, act: str, invocation_id: str) -> None:
        if self.committed(invocation_id).status == "completed":
            raise Conflict(f"{invocation_id} has ended already")
        self.told.append((act, invocation_id))
