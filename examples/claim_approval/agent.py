"""Decides on insurance claims with the help of two other agents, which run elsewhere."""

import json

import perdure
from claim_approval.claims import InsuranceClaim
from perdure import RunOptions, TerminalError
from perdure.llm import Message, llm_call, tool

claim_approval = perdure.Service("MultiAgentClaimApproval")

AGENTS = [
    tool(name="EligibilityAgent", description="Analyze claim eligibility."),
    tool(name="FraudAgent", description="Analyze probability of fraud."),
]
STEPS_MAX = 10


@claim_approval.handler()
async def run(ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Ask the model whom to hear, hear them, decide by what they say."""
    findings: dict[str, str] = {}
    messages: list[Message] = [
        {
            "role": "system",
            "content": "You are a claim approval engine. Analyze the claim and use your tools to decide whether to "
            "approve.",
        },
        {"role": "user", "content": f"Claim: {claim.model_dump_json()}"},
    ]
    for _ in range(STEPS_MAX):
        plan = await ctx.run_typed(
            "Pick agents", llm_call, RunOptions(max_attempts=3), messages=list(messages), tools=AGENTS
        )
        if not plan.tool_calls:
            break
        # Called together, they run at the same time; awaited in order, they are read in the same order on replay.
        answers = [
            (call, ctx.generic_call(call.function.name, "run", arg=claim.model_dump_json().encode()))
            for call in plan.tool_calls
        ]
        messages.append(plan.as_message())
        for call, answer in answers:
            finding = findings[call.function.name] = json.loads(await answer)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": finding})
    else:
        raise TerminalError(f"the model still asks for agents after {STEPS_MAX} steps")

    # Whom to hear is the model's choice. When to pay is a rule, and rules are written in Python.
    approved = findings == {"EligibilityAgent": "eligible", "FraudAgent": "low_risk"}
    reasons = ", ".join(f"{agent} says {finding}" for agent, finding in findings.items())
    return f"{'approved' if approved else 'not approved'}: {reasons}"


app = perdure.app([claim_approval])
