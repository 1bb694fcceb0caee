"""Says how likely a claim is a fraud, with Google's Agent Development Kit."""

from google.adk import Agent, Runner
from google.adk.apps import App
from google.genai.types import UserContent

import perdure
from perdure.ext.adk import DurablePlugin, DurableSessionService, final_answer
from three_sdks.claims import InsuranceClaim

fraud_agent = perdure.Service("FraudAgent")


def earlier_claims(place_of_service: str) -> str:
    """Earlier claims for treatments at a place."""
    return f"{place_of_service}: 212 claims, none of them doubtful"


agent = Agent(
    name="fraud_agent",
    model="gemini-2.5-flash",
    instruction="Say whether the claim is fraudulent, by what is known of the place. "
    "Always respond with low risk, medium risk or high risk.",
    tools=[earlier_claims],
)
runner = Runner(
    app=App(name="fraud", root_agent=agent, plugins=[DurablePlugin()]), session_service=DurableSessionService()
)


@fraud_agent.handler()
async def run(ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Look at earlier claims, and judge."""
    message = UserContent(claim.model_dump_json())
    return await final_answer(runner.run_async(user_id="user", session_id="claim", new_message=message))


app = perdure.app([fraud_agent])
