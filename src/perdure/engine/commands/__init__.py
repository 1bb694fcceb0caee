"""What each message of a service does: one function a message, one table.

A handler is given the ledger, the invocation and the envelope. It has no clock, no socket and no disk, so it runs the
same in production, under a virtual clock, and at every crash point of a simulation. A command's first act is to
journal itself; what it refuses, it refuses before that.
"""

from collections.abc import Callable
from typing import TypeAlias

from perdure.engine.commands import attaching, calls, ending, promises, runs, signals, sleeps, state
from perdure.engine.commands.rejection import CommandRejected
from perdure.engine.invocation import Invocation
from perdure.engine.ledger import Ledger
from perdure.protocol.messages import Envelope, MessageType

Handler: TypeAlias = Callable[[Ledger, Invocation, Envelope], None]

MESSAGES: dict[int, Handler] = {
    MessageType.OUTPUT: ending.on_output,
    MessageType.END: ending.on_end,
    MessageType.SUSPENSION: ending.on_suspension,
    MessageType.ERROR: ending.on_error,
    MessageType.RUN: runs.on_run,
    MessageType.PROPOSE_RUN_COMPLETION: runs.on_propose_run_completion,
    MessageType.CALL: calls.on_call,
    MessageType.ONE_WAY_CALL: calls.on_one_way_call,
    MessageType.SLEEP: sleeps.on_sleep,
    MessageType.GET_EAGER_STATE: state.on_eager_read,
    MessageType.GET_EAGER_STATE_KEYS: state.on_eager_read,
    MessageType.GET_LAZY_STATE: state.on_get_lazy_state,
    MessageType.GET_LAZY_STATE_KEYS: state.on_get_lazy_state_keys,
    MessageType.SET_STATE: state.on_set_state,
    MessageType.CLEAR_STATE: state.on_clear_state,
    MessageType.CLEAR_ALL_STATE: state.on_clear_all_state,
    MessageType.GET_PROMISE: promises.on_get_promise,
    MessageType.PEEK_PROMISE: promises.on_peek_promise,
    MessageType.COMPLETE_PROMISE: promises.on_complete_promise,
    MessageType.SEND_SIGNAL: signals.on_send_signal,
    MessageType.COMPLETE_AWAKEABLE: signals.on_complete_awakeable,
    MessageType.ATTACH_INVOCATION: attaching.on_attach_invocation,
    MessageType.GET_INVOCATION_OUTPUT: attaching.on_get_invocation_output,
    MessageType.AWAITING_ON: ending.on_awaiting_on,
}

__all__ = ["MESSAGES", "CommandRejected"]
