"""What `import perdure` gives: all names, each loaded when asked for, and no server code with them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import perdure

SERVER_CODE = ("uvicorn", "starlette", "granian", "apsw", "perdure.engine", "perdure.server", "perdure.cli", "rich")

PROMISED = [
    "Service",
    "VirtualObject",
    "Workflow",
    "Context",
    "ObjectContext",
    "ObjectSharedContext",
    "WorkflowContext",
    "WorkflowSharedContext",
    "ScopedContext",
    "DurablePromise",
    "DurableFuture",
    "DurableCallFuture",
    "DurableSleepFuture",
    "SendHandle",
    "RunOptions",
    "InvocationRetryPolicy",
    "TerminalError",
    "RetryableError",
    "SdkInternalBaseException",
    "is_internal_exception",
    "app",
    "gather",
    "select",
    "as_completed",
    "wait_completed",
    "run_key",
    "current_context",
    "current_object_context",
    "Serde",
    "JsonSerde",
    "BytesSerde",
    "DefaultSerde",
    "PydanticJsonSerde",
    "MsgspecJsonSerde",
    "getLogger",
    "DurableLoggingFilter",
    "DurableClient",
    "DurableClientSendHandle",
    "create_client",
    "HttpError",
    "InvocationFailed",
    "SyncDurableClient",
    "create_sync_client",
    "NOT_READY",
    "TimedOut",
    "AllFailed",
    "first_succeeded",
    "all_succeeded",
    "all_settled",
    "Succeeded",
    "Failed",
    "Engine",
    "Endpoint",
    "__version__",
]


@pytest.mark.parametrize("name", PROMISED)
def test_the_name_is_there(name: str) -> None:
    assert getattr(perdure, name) is not None
    assert name in dir(perdure)


def test_type_checkers_are_told_the_same_names() -> None:
    tree = ast.parse(Path(perdure.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told == perdure._HOMES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Servise'"):
        _ = perdure.Servise  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "code",
    ["perdure.Service", "perdure.app([perdure.Service('S')])", "perdure.Context, perdure.gather, perdure.getLogger"],
)
def test_the_sdk_loads_no_server_code(code: str) -> None:
    script = f"import sys, perdure; {code}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert not [name for name in loaded if name.startswith(SERVER_CODE)]


def test_import_perdure_alone_loads_next_to_nothing() -> None:
    script = "import sys, perdure; print(*(name for name in sys.modules if name.startswith('perdure')))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert set(loaded) == {"perdure", "perdure.version"}
