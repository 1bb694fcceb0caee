"""A chat that remembers, with Google ADK: a virtual object a session, whose state is the events, one a key."""

from google.adk import Agent, Runner
from google.adk.apps import App
from google.genai.types import UserContent

import perdure
from perdure.ext.adk import DurablePlugin, DurableSessionService, final_answer

chat = perdure.VirtualObject("Chat")

SESSION = "chat"

agent = Agent(
    name="assistant",
    model="gemini-2.5-flash",
    instruction="You are a helpful assistant. Answer in one or two sentences.",
)
sessions = DurableSessionService()
runner = Runner(app=App(name="chat", root_agent=agent, plugins=[DurablePlugin()]), session_service=sessions)


@chat.handler()
async def message(ctx: perdure.ObjectContext, text: str) -> str:
    """Answer a message. One at a time: the next message of a session waits for this one's answer."""
    events = runner.run_async(user_id=ctx.key(), session_id=SESSION, new_message=UserContent(text))
    return await final_answer(events)


@chat.handler(kind="shared")
async def history(ctx: perdure.ObjectSharedContext) -> list[dict[str, str]]:
    """All that was said, oldest first. It is read at any time, also while a message is being answered."""
    session = await sessions.get_session(app_name=runner.app_name, user_id=ctx.key(), session_id=SESSION)
    said = [(event.author, event.content.parts or []) for event in session.events if event.content]
    return [{"author": author, "text": "".join(part.text or "" for part in parts)} for author, parts in said]


app = perdure.app([chat])
