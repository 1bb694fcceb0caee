"""Perdure: durable agents in plain Python.

All public names are here. Each is loaded when it is first asked for, so that `import perdure` is quick, and a
process that only serves handlers loads no engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perdure.version import __version__

if TYPE_CHECKING:  # the one place with such a block: it tells type checkers what `_HOMES` tells Python
    from perdure.embedded import Engine as Engine
    from perdure.engine.config import EngineConfig as EngineConfig
    from perdure.engine.config import HandlerDefaults as HandlerDefaults
    from perdure.engine.config import RetryPolicy as RetryPolicy
    from perdure.engine.flow.rules import DoesNotExist as DoesNotExist
    from perdure.engine.flow.rules import Limits as Limits
    from perdure.engine.flow.rules import Matches as Matches
    from perdure.engine.flow.rules import Rate as Rate
    from perdure.engine.flow.rules import Rule as Rule
    from perdure.engine.flow.rules import RuleDeletion as RuleDeletion
    from perdure.engine.flow.rules import RulePut as RulePut
    from perdure.errors import AllFailed as AllFailed
    from perdure.errors import Cancelled as Cancelled
    from perdure.errors import RetryableError as RetryableError
    from perdure.errors import SdkInternalBaseException as SdkInternalBaseException
    from perdure.errors import TerminalError as TerminalError
    from perdure.errors import TimedOut as TimedOut
    from perdure.errors import is_internal_exception as is_internal_exception
    from perdure.sdk.capabilities.promises import DurablePromise as DurablePromise
    from perdure.sdk.capabilities.run_options import RunOptions as RunOptions
    from perdure.sdk.capabilities.runs import run_key as run_key
    from perdure.sdk.client import DurableClient as DurableClient
    from perdure.sdk.client import SyncDurableClient as SyncDurableClient
    from perdure.sdk.client import create_client as create_client
    from perdure.sdk.client import create_sync_client as create_sync_client
    from perdure.sdk.client_calls import DurableClientSendHandle as DurableClientSendHandle
    from perdure.sdk.client_errors import HttpError as HttpError
    from perdure.sdk.client_errors import InvocationFailed as InvocationFailed
    from perdure.sdk.client_results import NOT_READY as NOT_READY
    from perdure.sdk.client_results import NotReady as NotReady
    from perdure.sdk.combinators import as_completed as as_completed
    from perdure.sdk.combinators import gather as gather
    from perdure.sdk.combinators import select as select
    from perdure.sdk.combinators import wait_completed as wait_completed
    from perdure.sdk.context import Context as Context
    from perdure.sdk.context import ObjectContext as ObjectContext
    from perdure.sdk.context import ObjectSharedContext as ObjectSharedContext
    from perdure.sdk.context import Request as Request
    from perdure.sdk.context import ScopedContext as ScopedContext
    from perdure.sdk.context import WorkflowContext as WorkflowContext
    from perdure.sdk.context import WorkflowSharedContext as WorkflowSharedContext
    from perdure.sdk.context import current_context as current_context
    from perdure.sdk.context import current_object_context as current_object_context
    from perdure.sdk.definition import InvocationRetryPolicy as InvocationRetryPolicy
    from perdure.sdk.endpoint import Endpoint as Endpoint
    from perdure.sdk.endpoint import app as app
    from perdure.sdk.futures import DurableCallFuture as DurableCallFuture
    from perdure.sdk.futures import DurableFuture as DurableFuture
    from perdure.sdk.futures import DurableSleepFuture as DurableSleepFuture
    from perdure.sdk.futures import SendHandle as SendHandle
    from perdure.sdk.logging import DurableLoggingFilter as DurableLoggingFilter
    from perdure.sdk.logging import getLogger as getLogger
    from perdure.sdk.outcomes import Failed as Failed
    from perdure.sdk.outcomes import Outcome as Outcome
    from perdure.sdk.outcomes import Succeeded as Succeeded
    from perdure.sdk.outcomes import all_settled as all_settled
    from perdure.sdk.outcomes import all_succeeded as all_succeeded
    from perdure.sdk.outcomes import first_succeeded as first_succeeded
    from perdure.sdk.serde import BytesSerde as BytesSerde
    from perdure.sdk.serde import DefaultSerde as DefaultSerde
    from perdure.sdk.serde import JsonSerde as JsonSerde
    from perdure.sdk.serde import MsgspecJsonSerde as MsgspecJsonSerde
    from perdure.sdk.serde import PydanticJsonSerde as PydanticJsonSerde
    from perdure.sdk.serde import Serde as Serde
    from perdure.sdk.service import Service as Service
    from perdure.sdk.virtual_object import VirtualObject as VirtualObject
    from perdure.sdk.workflow import Workflow as Workflow
    from perdure.server.app import ServerConfig as ServerConfig

_NAMES: dict[str, str] = {
    "embedded": "Engine",
    "engine.config": "EngineConfig HandlerDefaults RetryPolicy",
    "engine.flow.rules": "DoesNotExist Limits Matches Rate Rule RuleDeletion RulePut",
    "errors": (
        "AllFailed Cancelled RetryableError SdkInternalBaseException TerminalError TimedOut is_internal_exception"
    ),
    "sdk.capabilities.promises": "DurablePromise",
    "sdk.capabilities.run_options": "RunOptions",
    "sdk.capabilities.runs": "run_key",
    "sdk.client": "DurableClient SyncDurableClient create_client create_sync_client",
    "sdk.client_calls": "DurableClientSendHandle",
    "sdk.client_errors": "HttpError InvocationFailed",
    "sdk.client_results": "NOT_READY NotReady",
    "sdk.combinators": "as_completed gather select wait_completed",
    "sdk.context": (
        "Context ObjectContext ObjectSharedContext Request ScopedContext WorkflowContext WorkflowSharedContext "
        "current_context current_object_context"
    ),
    "sdk.definition": "InvocationRetryPolicy",
    "sdk.endpoint": "Endpoint app",
    "sdk.futures": "DurableCallFuture DurableFuture DurableSleepFuture SendHandle",
    "sdk.logging": "DurableLoggingFilter getLogger",
    "sdk.outcomes": "Failed Outcome Succeeded all_settled all_succeeded first_succeeded",
    "sdk.serde": "BytesSerde DefaultSerde JsonSerde MsgspecJsonSerde PydanticJsonSerde Serde",
    "sdk.service": "Service",
    "sdk.virtual_object": "VirtualObject",
    "sdk.workflow": "Workflow",
    "server.app": "ServerConfig",
}
_HOMES = {name: f"perdure.{module}" for module, names in _NAMES.items() for name in names.split()}


if not TYPE_CHECKING:  # a type checker that sees this would believe in every name

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'perdure' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(home), name)
        return value


def __dir__() -> list[str]:
    return sorted([*_HOMES, "__version__"])


__all__ = ["__version__", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]
