"""What has to be done for an invocation to go on that cannot by itself, in words for people."""

from perdure.engine.invocation import Invocation
from perdure.engine.registry import Registry
from perdure.protocol.failure_codes import JOURNAL_MISMATCH
from perdure.protocol.ids import DeploymentId


def way_on(invocation: Invocation, registry: Registry) -> str:
    """What lets a paused invocation go on, as half a sentence."""
    gone = removed(invocation, registry)
    if gone is not None:
        return gone
    resume = f"perdure invocations resume {invocation.id}"
    failure = invocation.last_failure
    if invocation.paused_by != "failure" or failure is None or failure.code != JOURNAL_MISMATCH:
        return f"`{resume}` lets it go on"
    if _is_embedded(invocation, registry):
        return f"once the code is mended and the engine was started again, `{resume}` lets it go on"
    return f"once the mended code is registered at a new address, `{resume} --deployment latest` lets it go on"


def removed(invocation: Invocation, registry: Registry) -> str | None:
    """That the deployment of an invocation was removed, and what lets it go on elsewhere; None where it was not."""
    if invocation.deployment_id is None or DeploymentId(invocation.deployment_id) in registry.deployments:
        return None
    return (
        f"its deployment {invocation.deployment_id} was removed: `perdure invocations resume {invocation.id} "
        "--deployment latest` lets it go on elsewhere"
    )


def after_mismatch(invocation: Invocation, registry: Registry) -> str:
    """What lets an invocation go on that is paused as its journal does not fit its code: the end of that message."""
    resume = f"perdure invocations resume {invocation.id}"
    if _is_embedded(invocation, registry):
        return f"It is paused. With the code mended, start the engine again, then `{resume}`."
    return (
        f"It is paused. Register the mended code at a new address, then `{resume} --deployment latest` "
        "(or the id of a deployment)."
    )


def _is_embedded(invocation: Invocation, registry: Registry) -> bool:
    deployment = registry.deployments.get(DeploymentId(invocation.deployment_id or ""))
    return deployment is not None and deployment.is_embedded
