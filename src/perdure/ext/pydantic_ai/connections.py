"""The connection to an MCP server, which a run opens with the first step that needs it, and closes when it ends.

Nobody waits for it to be closed: that takes as long as the server likes, and on replay there is nothing to close, so
what the handler does next, beside others that run at the same time, would not follow from its journal.
"""

import asyncio
import logging
import sys
from collections.abc import Container
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Self

from perdure.ext.missing import needs
from perdure.sdk.tasks import start

with needs("pydantic-ai-slim", extra="pydantic-ai"):
    from pydantic_ai.tools import AgentDepsT, RunContext
    from pydantic_ai.toolsets import AbstractToolset, WrapperToolset

logger = logging.getLogger(__name__)

_closing: set[asyncio.Task[Any]] = set()


@dataclass
class Connection(WrapperToolset[AgentDepsT]):
    """A server's toolset, for one run. It has an id of its own there, as the run keeps by it what the server offers."""

    run_id: str

    @property
    def id(self) -> str:
        return self.run_id

    async def get_instructions(self, ctx: RunContext[AgentDepsT]) -> Any:
        return await self.wrapped.get_instructions(ctx)

    async def __aenter__(self) -> Self:
        # Runs may share what is opened here, so it must not keep what this step knows, nor go on with it.
        opening: Any = self.wrapped.__aenter__()
        await asyncio.get_running_loop().create_task(opening, context=Context())
        return self

    async def __aexit__(self, *args: Any) -> None:
        task = start(asyncio.get_running_loop(), self._close(*args))
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    async def _close(self, *args: Any) -> None:
        try:
            await self.wrapped.__aexit__(*args)
        except Exception:
            logger.warning("the connection to an MCP server was not closed", extra={"toolset": self.id}, exc_info=True)

    def __getattr__(self, name: str) -> Any:
        """What else a toolset of this kind has, such as `cache_tools`."""
        return getattr(self.__dict__["wrapped"], name)


def is_of_server(toolset: AbstractToolset[Any]) -> bool:
    """Whether it is an MCP server's. What loads such toolsets is an extra of the framework, which may not be there."""
    module = sys.modules.get("pydantic_ai.mcp")
    return module is not None and isinstance(toolset, module.MCPToolset)


def id_in_run(toolset_id: str | None, taken: Container[str]) -> str:
    """The toolset's own id, or a name for what has none; with a number, where it is another's already."""
    name = toolset_id or "mcp"
    id, number = name, 1
    while id in taken:
        number += 1
        id = f"{name}-{number}"
    return id
