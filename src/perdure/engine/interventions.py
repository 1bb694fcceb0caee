"""What operators do to invocations: cancel, kill, pause, resume, restart and purge them; and to objects' state.

Each function checks first and acts then, so that what it refuses has changed nothing. What it returns, or the error
that it raises, goes to whoever asked.
"""

from perdure.engine import lifecycle
from perdure.engine.admission import admit
from perdure.engine.answers import Accepted, Done
from perdure.engine.cancelling import CANCELLED, cancel
from perdure.engine.events import (
    CancelRequested,
    KillRequested,
    PauseRequested,
    PurgeRequested,
    RestartRequested,
    ResumeRequested,
    StatePatched,
)
from perdure.engine.family import awaited_children, go_down
from perdure.engine.invocation import Invocation, Status, Step
from perdure.engine.ledger import Ledger
from perdure.engine.mutation import Mutation
from perdure.engine.registry import ResolvedHandler
from perdure.engine.restarting import Restarted, kept_entries
from perdure.engine.retention import purge
from perdure.engine.timers import KILL
from perdure.errors import Conflict, JournalGone, NotRestartable, TooEarly, UnknownInvocation, UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.discovery import ServiceType
from perdure.protocol.ids import DeploymentId, InvocationId

_PAUSABLE = (Status.READY, Status.RUNNING, Status.BACKING_OFF, Status.SUSPENDED)
_RESUMABLE = (Status.PAUSED, Status.SUSPENDED, Status.BACKING_OFF)


def on_cancel(ledger: Ledger, event: CancelRequested) -> Done:
    """Done at once, or accepted: then its code is told. Kill it after a time, if that is asked for and it goes on."""
    invocation = _going_on(ledger, event.invocation_id)
    note = cancel(ledger, invocation)
    ended = invocation.status is Status.COMPLETED
    if event.kill_after_ms is not None and not ended:
        ledger.set_timer((ledger.now_ms + event.kill_after_ms, invocation.number, KILL))
    return Done(ended, note)


def on_kill(ledger: Ledger, event: KillRequested) -> Done:
    """End an invocation now, with no word to its code, and the calls that it waits for."""
    kill(ledger, _going_on(ledger, event.invocation_id))
    return Done(True)


def kill(ledger: Ledger, invocation: Invocation) -> None:
    go_down(ledger, invocation, lambda victim: _kill(ledger, victim))


def _kill(ledger: Ledger, victim: Invocation) -> list[Invocation]:
    children = awaited_children(ledger, victim)
    lifecycle.fail(ledger, victim, CANCELLED, "killed")
    return children


def on_pause(ledger: Ledger, event: PauseRequested) -> Done:
    """Stop working on an invocation, and keep its journal; False where it was paused already."""
    invocation = _going_on(ledger, event.invocation_id)
    if invocation.status is Status.PAUSED:
        return Done(False)
    if invocation.status not in _PAUSABLE:
        raise Conflict(f"{invocation.id} is {invocation.status}: what has not begun cannot pause, only be cancelled")
    lifecycle.stop(ledger, invocation)
    invocation.awaiting = None
    invocation.retry_at_ms = None
    invocation.advance(Step.HELD, ledger.now_ms)
    invocation.forget_replay()
    ledger.note(invocation, "Paused", {"reason": "an operator paused it"})
    ledger.touch(invocation)
    return Done(True)


def on_resume(ledger: Ledger, event: ResumeRequested) -> Done:
    """Try a resting invocation now, on the deployment that it is pinned to or on another."""
    invocation = _going_on(ledger, event.invocation_id)
    if invocation.status in (Status.SCHEDULED, Status.PENDING):
        raise TooEarly(f"{invocation.id} is {invocation.status}: it has not begun, so there is nothing to resume")
    if invocation.status not in _RESUMABLE:
        raise Conflict(f"{invocation.id} is {invocation.status}: only what is {', '.join(_RESUMABLE)} resumes")
    lifecycle.pin_to(ledger, invocation, _chosen(ledger, invocation, event.deployment, invocation.protocol_version))
    invocation.failures = 0
    lifecycle.make_ready(ledger, invocation, Step.RESUMED)
    return Done(True)


def on_restart(ledger: Ledger, event: RestartRequested) -> Accepted:
    """Begin a new invocation with the input of one that has ended, and its journal up to an entry if asked for."""
    ended = _ended(ledger, event.invocation_id)
    if ended.service_type == "WORKFLOW":
        raise NotRestartable(f"{ended.target} is a workflow's: it runs once by its key. Purge it, then submit it again")
    journal = ledger.reader.journal(ended.number)
    if not journal or (ended.expires_at_ms is not None and ended.expires_at_ms <= ledger.now_ms):
        raise JournalGone(f"the journal of {ended.id} was purged, and with it what it was called with")
    kept = kept_entries(journal, event.from_entry)
    target = ended.target
    version = ended.protocol_version if kept else 0
    command = journal[0].message
    assert isinstance(command, pb.InputCommandMessage)
    restarted = admit(
        ledger,
        _chosen(ledger, ended, event.deployment, version),
        target,
        ledger.new_id(target.scope or target.key),
        command.value.content,
        headers=[(header.key, header.value) for header in command.headers],
        limit_key=ended.limit_key,
        restarts=Restarted(
            ended.id,
            bool(kept) or event.deployment != "latest",
            version,
            kept,
            (ended.seeded_by or ended.id) if kept else None,
        ),
    )
    return Accepted(restarted.id, True)


def on_purge(ledger: Ledger, event: PurgeRequested) -> Done:
    """Forget an invocation that has ended, or its journal only."""
    ended = _ended(ledger, event.invocation_id)
    ended.journal_retention_ms = 0
    if not event.journal_only:
        ended.retention_ms = 0
    ended.expires_at_ms = ledger.now_ms
    ledger.touch(ended)
    purge(ledger, ended)
    return Done(True)


def on_state_patched(ledger: Ledger, event: StatePatched) -> Done:
    """Replace an object's state when its key is free: at once, and then whether it could be; or later, in its turn."""
    key, mutation = event.key, Mutation.decode(event.mutation)
    place = ledger.new_place()
    ledger.batch.keys.add(key)
    if not ledger.keys.take(key, -place):
        ledger.state.put_off(key, place, mutation)
        return Done(True)
    applied = ledger.state.apply(key, mutation)
    lifecycle.hand_over(ledger, key, -place)
    return Done(applied)


def _known(ledger: Ledger, id: InvocationId) -> Invocation:
    invocation = ledger.find(id)
    if invocation is None:
        raise UnknownInvocation(id)
    return invocation


def _going_on(ledger: Ledger, id: InvocationId) -> Invocation:
    invocation = _known(ledger, id)
    if invocation.status is Status.COMPLETED:
        raise Conflict(f"{id} has ended already")
    return invocation


def _ended(ledger: Ledger, id: InvocationId) -> Invocation:
    invocation = _known(ledger, id)
    if invocation.status in (Status.SCHEDULED, Status.PENDING):
        raise TooEarly(f"{id} is {invocation.status}: it has not even begun")
    if invocation.status is not Status.COMPLETED:
        raise Conflict(f"{id} is {invocation.status}: it has not ended. Cancel or kill it first")
    return invocation


def _chosen(ledger: Ledger, invocation: Invocation, deployment: str, version: int) -> ResolvedHandler:
    """The handler in the deployment that is asked for: `keep` is the one that it is pinned to, the latest if to none.

    `version`: of the protocol, in which the journal to go on with is; 0 where there is none.

    Raises:
        UnknownDeployment, UnknownTarget: there is none, or it does not have the handler.
        Conflict: it is another than where it was, and is being drained.
        UsageError: the service is of another kind there, or does not speak the version of the protocol.
    """
    target, pinned = invocation.target, invocation.deployment_id
    chosen = pinned or "latest" if deployment == "keep" else deployment
    if chosen == "latest":
        resolved = ledger.registry.resolve(target.service, target.handler)
    else:
        resolve = ledger.registry.resolve_pinned if chosen == pinned else ledger.registry.resolve_chosen
        resolved = resolve(DeploymentId(chosen), target.service, target.handler)
    if resolved.service_type != invocation.service_type:
        raise UsageError(
            f"{target.service} is a {_kind(resolved.service_type)} in {resolved.deployment.id}, and was a "
            f"{_kind(invocation.service_type)} when {invocation.id} was called: choose a deployment where it still is"
        )
    manifest = resolved.deployment.manifest
    if version and not manifest.min_protocol_version <= version <= manifest.max_protocol_version:
        raise UsageError(
            f"{invocation.id} was begun with version {version} of the service protocol, and {resolved.deployment.id} "
            f"speaks {manifest.min_protocol_version} to {manifest.max_protocol_version}: upgrade its SDK, or restart "
            "the invocation as a new one"
        )
    return resolved


def _kind(service_type: ServiceType) -> str:
    return service_type.lower().replace("_", " ")
