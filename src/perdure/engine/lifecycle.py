"""What happens to an invocation from its beginning to its end, in the steps of the table `LIFECYCLE`."""

from perdure.engine import journaling
from perdure.engine.effects import Notify, StartAttempt, StopAttempt
from perdure.engine.invocation import Invocation, Status, Step, Waiter
from perdure.engine.keys import Key
from perdure.engine.ledger import Ledger
from perdure.engine.registry import ResolvedHandler
from perdure.engine.replay import learn
from perdure.engine.waiting import settle
from perdure.errors import UnknownTarget
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType


def begin(ledger: Ledger, invocation: Invocation) -> None:
    """A scheduled invocation's time has come: it is ready, or waits for its key."""
    if invocation.exclusive:
        ledger.batch.keys.add(invocation.object_key)
        if not ledger.keys.take(invocation.object_key, invocation.number):
            invocation.place = ledger.new_place()
            invocation.inboxed_at_ms = ledger.now_ms
            invocation.advance(Step.QUEUED, ledger.now_ms)
            ledger.pending += 1
            ledger.touch(invocation)
            return
    make_ready(ledger, invocation, Step.FELL_DUE)


def make_ready(ledger: Ledger, invocation: Invocation, step: Step) -> None:
    """The invocation is to run as soon as there is a slot; its first time, it is pinned to a deployment."""
    if invocation.status is Status.PENDING:
        ledger.pending -= 1
    invocation.advance(step, ledger.now_ms)
    invocation.awaiting = None
    invocation.retry_at_ms = None
    invocation.attempt = 0
    pin(ledger, invocation)
    ledger.touch(invocation)
    standing = invocation.standing
    if not standing.begun:
        ledger.flow.announce(standing.lane)
    ledger.batch.effects.append(StartAttempt(invocation.number, standing))


def stop(ledger: Ledger, invocation: Invocation) -> None:
    """The attempt at hand goes no further; one that waits for a slot does so no longer."""
    if invocation.status is Status.READY:
        ledger.batch.effects.append(StopAttempt(invocation.number, 0, invocation.standing))
    elif invocation.attempt:
        ledger.batch.effects.append(StopAttempt(invocation.number, invocation.attempt))
    invocation.attempt = 0


def pin(ledger: Ledger, invocation: Invocation) -> None:
    """Choose deployment and version, once; left open while no deployment serves the target."""
    if invocation.deployment_id is None:
        try:
            resolved = ledger.registry.resolve(invocation.target.service, invocation.target.handler)
        except UnknownTarget:
            return
        pin_to(ledger, invocation, resolved)


def pin_to(ledger: Ledger, invocation: Invocation, resolved: ResolvedHandler) -> None:
    """It runs in this deployment; in the version of the protocol that its journal is in, or the deployment's."""
    invocation.deployment_id = resolved.deployment.id
    invocation.protocol_version = invocation.protocol_version or resolved.protocol_version
    ledger.touch(invocation)


def notify(
    ledger: Ledger,
    invocation: Invocation,
    type: MessageType,
    notification: pb.NotificationMessage,
    instead: Envelope | None = None,
) -> None:
    """Journal a notification, and tell the attempt that runs, or wake the invocation if it waits for this.

    `instead` is what a running attempt is told (the acknowledgement of what it proposed itself).
    """
    if invocation.status is Status.COMPLETED:
        return
    envelope = Envelope(type, notification)
    index = journaling.append(ledger, invocation, envelope)
    learn(invocation.known, notification)
    if invocation.status is Status.RUNNING:
        journaling.hint(ledger, invocation, invocation.hint)
        ledger.batch.effects.append(Notify(invocation.number, invocation.attempt, index, instead or envelope))
        return
    ledger.touch(invocation)
    if invocation.awaiting is not None and settle(invocation.awaiting, invocation.known) is not None:
        make_ready(ledger, invocation, Step.RESUMED)
    invocation.forget_replay()


def answer(ledger: Ledger, waiter: Waiter, output: pb.OutputCommandMessage) -> None:
    """Give an outcome to a handler that waits for it."""
    caller = ledger.find_number(waiter.number)
    if caller is None:
        return
    notification = pb.NotificationMessage(completion_id=waiter.completion_id)
    if output.HasField("failure"):
        notification.failure.CopyFrom(output.failure)
    else:
        notification.value.CopyFrom(output.value)
    notify(ledger, caller, MessageType(waiter.type), notification)


def complete(ledger: Ledger, invocation: Invocation, output: pb.OutputCommandMessage) -> None:
    """End the invocation: its callers get the outcome, its key goes to the next."""
    at_its_key = invocation.exclusive and invocation.status is not Status.SCHEDULED
    if invocation.status is Status.PENDING:
        ledger.pending -= 1
    stop(ledger, invocation)
    invocation.advance(Step.ENDED, ledger.now_ms)
    invocation.completed_at_ms = ledger.now_ms
    invocation.expires_at_ms = ledger.now_ms + invocation.journal_retention_ms
    invocation.output = output
    invocation.awaiting = None
    waiters, invocation.waiters = invocation.waiters, []
    ledger.touch(invocation)
    for waiter in waiters:
        answer(ledger, waiter, output)
    ledger.batch.effects += ledger.requests.answer(invocation)
    if at_its_key:
        hand_over(ledger, invocation.object_key, invocation.number)


def fail(ledger: Ledger, invocation: Invocation, code: int, message: str) -> None:
    """End the invocation in failure."""
    complete(ledger, invocation, pb.OutputCommandMessage(failure=pb.Failure(code=code, message=message)))


def hand_over(ledger: Ledger, key: Key, number: int) -> None:
    """The key goes to the next in line; a mutation of the object's state has it for this moment only."""
    ledger.batch.keys.add(key)
    following = ledger.keys.release(key, number)
    while following is not None and following < 0:
        ledger.state.apply_waiting(key, -following)
        following = ledger.keys.release(key, following)
    if following is not None and (next_in_line := ledger.find_number(following)) is not None:
        make_ready(ledger, next_in_line, Step.FELL_DUE)
