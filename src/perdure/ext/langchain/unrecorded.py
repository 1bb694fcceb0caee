"""Models that nothing records, in a graph whose thread a `DurableCheckpointer` keeps: they are refused.

Who keeps a thread durably means the graph to be durable; if the middleware is forgotten, each attempt would ask the
models again, and what the thread then says need not be what an earlier attempt went on with.
"""

from functools import wraps
from typing import Any

from perdure.errors import UsageError
from perdure.ext.durable_here import in_handler
from perdure.ext.langchain.checkpointer import DurableCheckpointer
from perdure.ext.langchain.determinism import replace
from perdure.ext.langchain.model import is_durable
from perdure.ext.missing import needs

with needs("langgraph", extra="langchain"):
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.runnables.config import var_child_runnable_config
    from langgraph._internal._constants import CONFIG_KEY_CHECKPOINTER  # pyright: ignore[reportMissingTypeStubs]


def refuse_unrecorded_models() -> None:
    """Has chat models look at the graph that asks them, in a handler. To be done once."""
    ask = BaseChatModel.agenerate

    @wraps(ask)
    async def agenerate(self: BaseChatModel, *args: Any, **kwargs: Any) -> Any:
        if in_handler() is not None and not is_durable(self) and _kept_durably():
            raise UsageError(
                f"{type(self).__name__} is asked in a graph with a DurableCheckpointer, and nothing would record it: "
                "give the agent DurableMiddleware(), or make the model a durable_model(...), or ask it in a step"
            )
        return await ask(self, *args, **kwargs)

    replace(BaseChatModel, "agenerate", agenerate)


def _kept_durably() -> bool:
    configurable = (var_child_runnable_config.get() or {}).get("configurable", {})
    return isinstance(configurable.get(CONFIG_KEY_CHECKPOINTER), DurableCheckpointer)
