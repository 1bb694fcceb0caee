"""A review as a workflow of its own: it reminds the reviewers each day until one answers."""

from datetime import timedelta

import perdure
from reviewers import Claim, Review, notify

approval_workflow = perdure.Workflow("ApprovalWorkflow")


@approval_workflow.main()
async def run(ctx: perdure.WorkflowContext, claim: Claim) -> str:
    """Ask the reviewers until one answers: "approved" or "rejected"."""
    awakeable_id, answer = ctx.awakeable(type_hint=bool)
    while True:
        ctx.service_send(notify, Review(claim=claim, awakeable_id=awakeable_id))
        match await perdure.select(answer=answer, reminder=ctx.sleep(timedelta(days=1))):
            case ["answer", approved]:
                return "approved" if approved else "rejected"
