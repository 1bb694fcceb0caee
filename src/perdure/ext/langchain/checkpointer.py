"""LangGraph's checkpoints in the state of a virtual object: `builder.compile(checkpointer=DurableCheckpointer())`.

Within an invocation, a graph is recovered by its journal; checkpoints are what one invocation leaves to the next: the
conversation so far, and where an interrupt waits for its answer. What a superstep's tasks wrote is therefore kept only
where the superstep was not completed.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NoReturn, cast

from perdure.errors import NotInHandler, UsageError
from perdure.ext.conversation import Conversations
from perdure.ext.durable_here import durable_here
from perdure.ext.langchain.determinism import Ids
from perdure.ext.langchain.messages import as_message
from perdure.ext.langchain.threads import Saved, Thread
from perdure.ext.langchain.values import Values
from perdure.ext.missing import needs
from perdure.ext.state_log import StateLog
from perdure.sdk.context import ObjectSharedContext, current_object_context
from perdure.sdk.failures import describe_exception

with needs("langgraph", extra="langchain"):
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import (
        BaseCheckpointSaver,
        ChannelVersions,
        Checkpoint,
        CheckpointMetadata,
        CheckpointTuple,
        get_checkpoint_id,
        get_serializable_checkpoint_metadata,
    )
    from langgraph.checkpoint.serde.base import SerializerProtocol
    from langgraph.checkpoint.serde.encrypted import EncryptedSerializer


class _Loaded:
    """The threads that an attempt has read. One task reads or writes at a time."""

    def __init__(self) -> None:
        self.threads: dict[str, Thread] = {}
        self.lock = asyncio.Lock()


class DurableCheckpointer(BaseCheckpointSaver[int]):
    """Keeps each thread in the state of the virtual object whose handler runs the graph; a turn writes what is new.

    The graph runs in an exclusive handler; a shared one can read, as with `await graph.aget_state(config)`.
    `serde`: as in LangGraph, for what is neither JSON nor a message; it must give equal values equal bytes.
    """

    def __init__(self, *, serde: SerializerProtocol | None = None) -> None:
        if isinstance(serde, EncryptedSerializer):
            raise UsageError(
                "EncryptedSerializer writes other bytes each time, which replay cannot repeat: DurableCheckpointer "
                "takes a serializer that does not encrypt"
            )
        super().__init__(serde=serde)

    # ---- reads ----

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """A checkpoint; without a `checkpoint_id`, the latest of the thread."""
        thread_id, ns = _place(config)
        thread = await self._thread(_object(), thread_id)
        saved = thread.find(ns, get_checkpoint_id(config))
        return None if saved is None or "v" not in saved.made else self._tuple(thread_id, saved)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """A thread's checkpoints, the newest first."""
        if config is None:
            raise UsageError("a DurableCheckpointer lists one thread at a time: name it by its thread_id in the config")
        configurable = config.get("configurable", {})
        thread_id, ns = _place(config)[0], configurable.get("checkpoint_ns")
        wanted = get_checkpoint_id(config)
        end = None if before is None else get_checkpoint_id(before)
        given = 0
        for saved in (await self._thread(_object(), thread_id)).newest_first(ns):
            if "v" not in saved.made or (wanted and saved.id != wanted) or (end and saved.id >= end):
                continue
            metadata = self._values.from_json(saved.metadata)
            if any(metadata.get(name) != value for name, value in (filter or {}).items()):
                continue
            if limit is not None and given >= limit:
                return
            given += 1
            yield self._tuple(thread_id, saved)

    # ---- writes ----

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Adds a checkpoint, of which only what is new is written."""
        thread_id, ns = _place(config)
        ctx = current_object_context()
        thread = await self._thread(ctx, thread_id)
        loaded = ctx.attached(_Loaded)
        to_json = self._values.to_json
        made: dict[str, Any] = {
            "v": checkpoint["v"],
            "ts": "",  # the clock's, which differs from attempt to attempt; the journal has times
            "channel_versions": _sorted(checkpoint["channel_versions"]),
            "versions_seen": {name: _sorted(seen) for name, seen in _sorted(checkpoint["versions_seen"]).items()},
            "updated_channels": checkpoint.get("updated_channels"),
        }
        told = to_json(get_serializable_checkpoint_metadata(config, metadata))
        parent, values = get_checkpoint_id(config), checkpoint["channel_values"]
        async with loaded.lock:
            record = thread.put(ns, checkpoint["id"], parent, made, told, values, to_json)
            await _log(ctx, thread_id).append([record])
        return _config(thread_id, ns, checkpoint["id"])

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Takes note of what a task wrote."""
        thread_id, ns = _place(config)
        ctx = current_object_context()
        thread = await self._thread(ctx, thread_id)
        id = get_checkpoint_id(config)
        assert id is not None, "writes belong to a checkpoint"
        rows = [(channel, self._values.to_json(_tellable(value))) for channel, value in writes]
        async with ctx.attached(_Loaded).lock:
            record = thread.write(ns, id, task_id, task_path, rows)
            if record is not None:
                await _log(ctx, thread_id).append([record])

    async def adelete_thread(self, thread_id: str) -> None:
        """Forgets a thread."""
        ctx, id = current_object_context(), str(thread_id)
        loaded = ctx.attached(_Loaded)
        async with loaded.lock:
            if id not in loaded.threads:
                await _read(ctx, id)
            loaded.threads[id] = Thread()
            await _log(ctx, id).clear()

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Adds all checkpoints of a thread to another."""
        ctx, source, target = current_object_context(), str(source_thread_id), str(target_thread_id)
        loaded = ctx.attached(_Loaded)
        async with loaded.lock:
            await _log(ctx, target).append(await _log(ctx, source).items())
            loaded.threads.pop(target, None)

    # ---- what is not ----

    def get_tuple(self, config: RunnableConfig) -> NoReturn:
        _refuse()

    def list(self, config: RunnableConfig | None, **_: Any) -> NoReturn:
        _refuse()

    def put(self, *_: Any, **__: Any) -> NoReturn:
        _refuse()

    def put_writes(self, *_: Any, **__: Any) -> NoReturn:
        _refuse()

    def delete_thread(self, thread_id: str) -> NoReturn:
        _refuse()

    # ---- within ----

    @property
    def _values(self) -> Values:
        return Values(self.serde)

    async def _thread(self, ctx: ObjectSharedContext, thread_id: str) -> Thread:
        loaded = ctx.attached(_Loaded)
        async with loaded.lock:
            if thread_id not in loaded.threads:
                thread = loaded.threads[thread_id] = await _read(ctx, thread_id)
                for head in thread.heads:
                    self._tell_conversation(ctx, thread_id, head)
            return loaded.threads[thread_id]

    def _tell_conversation(self, ctx: ObjectSharedContext, thread_id: str, head: Saved) -> None:
        """What the thread says is known: model calls that go on from there record only what they add."""
        for channel in sorted(head.values):
            value = self._values.from_json(head.value(channel))
            if isinstance(value, list) and all(isinstance(each, BaseMessage) for each in cast("list[Any]", value)):
                messages = [as_message(each) for each in cast("list[BaseMessage]", value) if each.type != "system"]
                ctx.attached(Conversations).loaded(f"thread {thread_id}", messages)

    def _tuple(self, thread_id: str, saved: Saved) -> CheckpointTuple:
        values = self._values
        checkpoint: dict[str, Any] = {
            **saved.made,
            "id": saved.id,
            "channel_versions": dict(saved.made["channel_versions"]),
            "versions_seen": {name: dict(seen) for name, seen in saved.made["versions_seen"].items()},
            "channel_values": {name: values.from_json(saved.value(name)) for name in saved.values},
        }
        return CheckpointTuple(
            config=_config(thread_id, saved.ns, saved.id),
            checkpoint=cast(Checkpoint, checkpoint),
            metadata=values.from_json(saved.metadata),
            parent_config=None if saved.parent is None else _config(thread_id, saved.ns, saved.parent),
            pending_writes=[(each.task, each.channel, values.from_json(each.value)) for each in saved.sorted_writes()],
        )


def _object() -> ObjectSharedContext:
    ctx = durable_here("DurableCheckpointer")
    if not isinstance(ctx, ObjectSharedContext):
        raise NotInHandler(
            "a DurableCheckpointer keeps threads in the state of a virtual object or workflow, and this handler's "
            "service has none: make it a VirtualObject, with a key for each thread"
        )
    return ctx


def _place(config: RunnableConfig) -> tuple[str, str]:
    configurable = config.get("configurable", {})
    if "thread_id" not in configurable:
        raise UsageError(
            'no thread_id in the config: pass {"configurable": {"thread_id": ...}}, such as the object\'s key'
        )
    return str(configurable["thread_id"]), configurable.get("checkpoint_ns", "")


def _config(thread_id: str, ns: str, id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ns, "checkpoint_id": id}}


def _log(ctx: ObjectSharedContext, thread_id: str) -> StateLog:
    return StateLog(ctx, f"thread {thread_id}")


async def _read(ctx: ObjectSharedContext, thread_id: str) -> Thread:
    """The thread as it is in the state. The ids of all that comes after it follow from it."""
    thread = Thread(await _log(ctx, thread_id).items())
    service = ctx.target.partition("/")[0]
    ctx.attached(Ids).begin(f"{service}/{ctx.key()}/{thread_id}", (each.id for each in thread.heads))
    return thread


def _sorted(values: Mapping[str, Any]) -> dict[str, Any]:
    """In an order that does not depend on hashes, which differ from process to process."""
    return {name: values[name] for name in sorted(values)}


def _tellable(value: Any) -> Any:
    return describe_exception(value) if isinstance(value, BaseException) else value


def _refuse() -> NoReturn:
    raise UsageError(
        "a DurableCheckpointer has no blocking methods: run the graph by `await graph.ainvoke(...)` or "
        "`graph.astream(...)`, and read it by `await graph.aget_state(...)`"
    )
