"""The provider's tools that are carried out here: each use is a step."""

from typing import Any

import pytest
from agents import (
    ApplyPatchTool,
    AsyncComputer,
    ComputerTool,
    CustomTool,
    LocalShellTool,
    ShellCommandOutput,
    ShellResult,
    ShellTool,
)
from agents.testing import ScriptedModel as InProcess
from agents.testing import assistant_message
from openai.types.responses import ResponseCustomToolCall, ResponseFunctionShellToolCall
from openai.types.responses.response_apply_patch_tool_call import OperationCreateFile, ResponseApplyPatchToolCall
from openai.types.responses.response_function_shell_tool_call import Action
from openai.types.responses.response_output_item import LocalShellCall, LocalShellCallAction

from tests.ext.openai.asking import IN_ONE_LOOP, ann, asking

pytestmark = IN_ONE_LOOP

CALLS: dict[str, Any] = {
    "custom": ResponseCustomToolCall(call_id="1", input="6*7", name="compute", type="custom_tool_call"),
    "local_shell": LocalShellCall(
        id="1", call_id="1", status="completed", type="local_shell_call",
        action=LocalShellCallAction(command=["ls"], env={}, type="exec"),
    ),
    "shell": ResponseFunctionShellToolCall(
        id="1", call_id="1", status="completed", type="shell_call",
        action=Action(commands=["ls"], max_output_length=None, timeout_ms=None),
    ),
    "apply_patch": ResponseApplyPatchToolCall(
        id="1", call_id="1", status="completed", type="apply_patch_call",
        operation=OperationCreateFile(diff="+a", path="a.txt", type="create_file"),
    ),
}  # fmt: skip


class Used:
    """How often each was used."""

    def __init__(self) -> None:
        self.times: list[str] = []

    def compute(self, ctx: Any, text: str) -> str:
        self.times.append(text)
        return "42"

    def local_shell(self, request: Any) -> str:
        self.times.append("ls")
        return "a.txt"

    async def shell(self, request: Any) -> ShellResult:
        self.times.append("ls")
        return ShellResult([ShellCommandOutput(stdout="a.txt")])

    def create_file(self, operation: Any) -> str:
        self.times.append(operation.path)
        return "created"

    update_file = delete_file = create_file

    def tool(self, kind: str) -> Any:
        match kind:
            case "custom":
                return CustomTool("compute", "Computes", self.compute)
            case "local_shell":
                return LocalShellTool(executor=self.local_shell)
            case "shell":
                return ShellTool(executor=self.shell)
            case _:
                return ApplyPatchTool(editor=self)


@pytest.mark.parametrize("kind", CALLS)
async def test_what_is_done_here_is_done_once(kind: str) -> None:
    used = Used()
    model = InProcess([[CALLS[kind]], [assistant_message("done")]])
    agent = ann(model=model, tools=[used.tool(kind)])
    journal = await asking(agent).journal(always_replay=True)
    assert journal[-1].value == "done"
    assert len(used.times) == 1
    assert len(journal.runs()) == 3


async def test_a_computer_is_refused() -> None:
    class Screen(AsyncComputer):
        async def screenshot(self) -> str:
            return ""

        click = double_click = scroll = type = wait = move = keypress = drag = screenshot  # type: ignore[assignment]

    agent = ann(model=InProcess([]), tools=[ComputerTool(computer=Screen())])
    with pytest.raises(AssertionError, match="agent 'Ann' has a ComputerTool"):
        await asking(agent).comes_to()
