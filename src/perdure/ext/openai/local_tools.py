"""The provider's tools that are carried out here: a shell, an editor of files, a tool of one text."""

import dataclasses
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

from agents import ApplyPatchEditor, ApplyPatchOperation, ApplyPatchResult, CustomTool, ShellResult
from agents.tool_context import ToolContext

from perdure.ext.codecs import codec_of
from perdure.ext.openai.cancels import wrapping_cancels
from perdure.ext.openai.functions import record
from perdure.ext.tool_calls import call_body, how_recorded, tool_call


def durable_custom_tool(tool: CustomTool) -> CustomTool:
    """The tool as one whose calls are recorded, by the same rule as those of functions."""
    recording = how_recorded(tool.on_invoke_tool)

    async def invoke(context: ToolContext[Any], text: str) -> Any:
        with wrapping_cancels():
            body = functools.partial(call_body, tool.on_invoke_tool, context, text)
            return await record(tool.name, text, context.tool_call_id, recording, body)

    return dataclasses.replace(tool, on_invoke_tool=invoke)


def durable_executor(name: str, executor: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    """What carries out commands, once each."""

    async def execute(request: Any) -> Any:
        body = functools.partial(call_body, executor, request)
        with wrapping_cancels():
            arguments, call_id = _as_json(request.data), request.data.call_id
            return await tool_call(name, body, arguments=arguments, codec=_SHELL, call_id=call_id)

    return execute


def durable_editor(editor: ApplyPatchEditor) -> ApplyPatchEditor:
    """What changes files, once each time."""
    return _Editor(editor)


class _Editor:
    def __init__(self, wrapped: ApplyPatchEditor) -> None:
        self._wrapped = wrapped

    async def create_file(self, operation: ApplyPatchOperation) -> ApplyPatchResult | str | None:
        return await self._edit(self._wrapped.create_file, operation)

    async def update_file(self, operation: ApplyPatchOperation) -> ApplyPatchResult | str | None:
        return await self._edit(self._wrapped.update_file, operation)

    async def delete_file(self, operation: ApplyPatchOperation) -> ApplyPatchResult | str | None:
        return await self._edit(self._wrapped.delete_file, operation)

    async def _edit(self, edit: Callable[[ApplyPatchOperation], Any], operation: ApplyPatchOperation) -> Any:
        arguments = {"path": operation.path, "diff": operation.diff, "move_to": operation.move_to}
        with wrapping_cancels():
            body = functools.partial(call_body, edit, operation)  # which call it is, the SDK tells no editor
            return await tool_call(operation.type, body, arguments=arguments, codec=_EDITED)


_SHELL: Final = codec_of(str | ShellResult)  # pyright: ignore[reportArgumentType]  a union is a type hint, too
_EDITED: Final = codec_of(str | ApplyPatchResult | None)  # pyright: ignore[reportArgumentType]  the same


def _as_json(call: Any) -> Any:
    """A shell call, for the record."""
    action = getattr(call, "action", call)
    return action.model_dump(exclude_unset=True) if hasattr(action, "model_dump") else dataclasses.asdict(action)
