"""Copies of what only the engine's memory knows, as rows of the temporary tables that a query reads."""

import asyncio
from typing import Any

import msgspec

from perdure.engine.deployment import ServiceRevision
from perdure.engine.engine import Engine
from perdure.engine.faces.introspection import AttemptNow
from perdure.engine.flow.rules import Level
from perdure.engine.flow.slots import LimitUse
from perdure.engine.registry import Registry

Rows = list[tuple[Any, ...]]
_SLICE = 2_000
_LEVELS = {Level.SCOPE: "Scope", Level.KEY: "Level1", Level.SUBKEY: "Level2"}


async def live_rows(engine: Engine, names: list[str]) -> dict[str, Rows]:
    """The tables of these names. Other tasks get their turn while many rows are gathered."""
    made = {
        "live_attempt": _attempts,
        "live_deployment": _deployments,
        "live_service": _services,
        "live_limit": _limits,
    }
    return {name: await made[name](engine) for name in names}


async def _attempts(engine: Engine) -> Rows:
    rows: Rows = []
    for position, attempt in enumerate(engine.introspection.attempts()):
        if position % _SLICE == _SLICE - 1:
            await asyncio.sleep(0)
        rows.append(_attempt(attempt))
    return rows


def _attempt(attempt: AttemptNow) -> tuple[Any, ...]:
    return (
        attempt.number,
        int(attempt.running),
        attempt.tries,
        attempt.started_at_ms,
        attempt.retry_at_ms,
        attempt.deployment_id,
        attempt.sdk_version,
        attempt.awaiting.SerializeToString() if attempt.awaiting is not None else None,
    )


async def _deployments(engine: Engine) -> Rows:
    return [
        (
            deployment.id,
            "http",
            deployment.uri,
            deployment.created_at_ms,
            deployment.manifest.min_protocol_version,
            deployment.manifest.max_protocol_version,
            msgspec.json.encode(list(deployment.revisions)).decode(),
        )
        for deployment in engine.registry.deployments.values()
    ]


async def _services(engine: Engine) -> Rows:
    return [_service(engine.registry, revision) for _, revision in sorted(engine.registry.services.items())]


def _service(registry: Registry, revision: ServiceRevision) -> tuple[Any, ...]:
    is_public = not registry.options(revision).ingress_private
    return (revision.name, revision.revision, int(is_public), revision.manifest.ty.lower(), revision.deployment_id)


async def _limits(engine: Engine) -> Rows:
    return [_limit(use) for use in engine.introspection.limits()]


def _limit(use: LimitUse) -> tuple[Any, ...]:
    scoped = use.name.split("/") if use.level in _LEVELS else []
    scope, l1, l2 = (*scoped, None, None, None)[:3]
    available = max(0, use.concurrency - use.used) if use.concurrency is not None else None
    level = _LEVELS.get(use.level) or use.level.name.capitalize()
    return (scope, l1, l2, level, use.used, use.concurrency, use.pattern, available, use.waiting)
