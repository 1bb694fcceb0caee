"""A running attempt: the engine's end of one connection, from Start to the terminal message."""

from collections.abc import Callable

from perdure.engine.events import AttemptFailed, Event, MessageReceived
from perdure.engine.options import HandlerOptions
from perdure.errors import TransportError
from perdure.protocol.messages import Envelope, MessageType
from perdure.transport.connection import Sender

TERMINAL = frozenset({MessageType.SUSPENSION, MessageType.ERROR, MessageType.END})
ABORTED = 500


class RunningAttempt:
    """Receives what the service says, and knows how long it has been silent.

    `entries` counts the journal entries that the service was told of in the replay. `over` is set by the terminal
    message, by a failure, or when the engine drops the attempt; then `on_over` is called, once. A service that has
    said its last may keep its response open for a while: `on_closed` says that it no longer does.
    """

    __slots__ = (
        "_apply",
        "_monotonic",
        "_on_awaiting",
        "_on_closed",
        "_on_over",
        "active_at_ms",
        "attempt",
        "entries",
        "half_closed",
        "number",
        "options",
        "over",
        "sender",
    )

    def __init__(
        self,
        number: int,
        attempt: int,
        entries: int,
        options: HandlerOptions,
        *,
        apply: Callable[[Event], None],
        on_awaiting: Callable[["RunningAttempt"], None],
        on_over: Callable[["RunningAttempt"], None],
        on_closed: Callable[["RunningAttempt"], None],
        monotonic: Callable[[], int],
    ) -> None:
        self.number = number
        self.attempt = attempt
        self.entries = entries
        self.options = options
        self.half_closed = False
        self.over = False
        self.sender: Sender | None = None
        self.active_at_ms = monotonic()
        self._apply = apply
        self._on_awaiting = on_awaiting
        self._on_over = on_over
        self._on_closed = on_closed
        self._monotonic = monotonic

    # ---- what the transport calls ----

    def message(self, envelope: Envelope) -> None:
        if self.over:
            return  # what follows a terminal message says nothing
        self.active_at_ms = self._monotonic()
        if envelope.type in TERMINAL:
            self._end()
            self.half_close()
        self._apply(MessageReceived(self.number, self.attempt, envelope))
        if envelope.type == MessageType.AWAITING_ON:
            self._on_awaiting(self)

    def closed(self, error: Exception | None) -> None:
        if self.over:
            self._on_closed(self)
        elif error is None:
            self.fail("the service ended its response without saying how the attempt ended")
        else:
            retry_after_ms = error.retry_after_ms if isinstance(error, TransportError) else None
            self.fail(str(error), retry_after_ms)

    # ---- what the invoker does ----

    def send(self, envelope: Envelope) -> None:
        if not self.half_closed and self.sender is not None:
            self.active_at_ms = self._monotonic()
            self.sender.send(envelope)

    def half_close(self) -> None:
        """Nothing more will be sent: the service should suspend, or finish."""
        if not self.half_closed and self.sender is not None:
            self.half_closed = True
            self.sender.close()

    def fail(self, message: str, retry_delay_ms: int | None = None) -> None:
        """Drop the connection, and have the attempt count as failed."""
        self.drop()
        self._apply(AttemptFailed(self.number, self.attempt, ABORTED, message, retry_delay_ms=retry_delay_ms))

    def drop(self) -> None:
        """Drop the connection, and hear no more of it."""
        self._end()
        self._on_closed(self)
        if self.sender is not None:
            self.sender.abort()

    def check_silence(self, now_ms: int) -> None:
        """Ask one that has been silent for long to suspend; cut off one that does not even do that."""
        silent_ms = now_ms - self.active_at_ms
        if not self.half_closed:
            if silent_ms >= self.options.inactivity_timeout_ms:
                self.active_at_ms = now_ms
                self.half_close()
        elif silent_ms >= self.options.abort_timeout_ms:
            self.fail(
                f"no message from the service for {silent_ms / 1000:.0f} s after it was asked to suspend: cut off "
                "(RT0001; a step that takes longer needs a longer abort_timeout)"
            )

    def _end(self) -> None:
        if not self.over:
            self.over = True
            self._on_over(self)
