"""What an engine can be told, with units in the names. Read once by whoever starts it, then passed down frozen."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from perdure.times import DELAY_MS_MAX


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a failing attempt is made again, and what comes after the last.

    The n-th retry waits `initial_interval_ms * factor ** (n - 1)`, at most `max_interval_ms`. `max_attempts` counts
    the first attempt too; None is without end. The count starts anew whenever the journal grows.
    """

    initial_interval_ms: int = 500
    factor: float = 2.0
    max_interval_ms: int = 60_000
    max_attempts: int | None = 70
    on_max_attempts: Literal["PAUSE", "KILL"] = "PAUSE"


@dataclass(frozen=True, slots=True)
class HandlerDefaults:
    """What holds for a handler that does not say otherwise.

    `inactivity_timeout_ms`: without a message for so long, an attempt is asked to suspend.
    `abort_timeout_ms`: after that, without a message for so long, it is cut off and made again.
    What is longer than `DELAY_MS_MAX` counts as that.
    """

    inactivity_timeout_ms: int = 60_000
    abort_timeout_ms: int = 600_000
    retention_ms: int = 24 * 60 * 60 * 1000
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        for name in ("inactivity_timeout_ms", "abort_timeout_ms", "retention_ms"):
            object.__setattr__(self, name, min(getattr(self, name), DELAY_MS_MAX))


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """One engine.

    `data_dir`: the folder of `perdure.db`; made if missing. None keeps everything in memory (for tests).
    `attempts_max`: attempts that run at once; more wait, and those that only wait are asked to suspend for them.
    `backlog_max`: invocations that may wait to begin, for a slot or for their key; new ones from outside are refused
        beyond (429).
    `body_bytes_max`: the largest body that the ingress takes. `bodies_bytes_max`: all that come in pieces, together.
    `eager_state_bytes_max`: keys and values that an attempt is given at its start; the rest it fetches.
    `request_identity_key`: the file of the ed25519 key (PEM, PKCS#8) that requests to deployments are signed with; None
        signs nothing.
    """

    data_dir: Path | None = None
    attempts_max: int = 1_000
    backlog_max: int = 1_000_000
    body_bytes_max: int = 32 * 1024 * 1024
    bodies_bytes_max: int = 256 * 1024 * 1024
    eager_state_bytes_max: int = 1024 * 1024
    request_identity_key: Path | None = None
    handler_defaults: HandlerDefaults = field(default_factory=HandlerDefaults)
