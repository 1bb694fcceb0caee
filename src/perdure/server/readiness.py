"""Whether the engine takes requests; both ports ask."""

from perdure.engine.engine import Engine
from perdure.errors import EngineStopping


def check_ready(engine: Engine) -> None:
    """Raises `EngineStopping` before recovery is done and once the engine stops."""
    if not engine.ready:
        doing = "stopping" if engine.stopping else "starting"
        raise EngineStopping(f"the engine is {doing}: ask again in a moment")
