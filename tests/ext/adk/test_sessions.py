"""Sessions of ADK in the state of a virtual object."""

from typing import Any

import pytest
from google.adk.agents.run_config import RunConfig
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.sessions.base_session_service import GetSessionConfig
from google.genai.types import UserContent

import perdure
from perdure.errors import NotInHandler
from perdure.ext.adk import DurableSessionService
from perdure.testing import Harness
from perdure.testing.model import Reply, ScriptedModel
from tests.ext.adk.asking import SESSION, USER, Asking, assistant, journal_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

APP = "tested"
sessions = DurableSessionService()


class Keeping:
    """A virtual object whose exclusive handler does something with sessions, and whose shared handler reads one."""

    def __init__(self, do: Any) -> None:
        self.service = perdure.VirtualObject("Sessions")

        @self.service.handler("do")
        async def handler(ctx: perdure.ObjectContext) -> Any:
            return await do()

        @self.service.handler(kind="shared")
        async def look(ctx: perdure.ObjectSharedContext) -> dict[str, Any]:
            session = await sessions.get_session(app_name=APP, user_id=USER, session_id=SESSION)
            return {"state": session.state, "texts": [str(event.content.parts[0].text) for event in session.events]}

        @self.service.handler(kind="shared")
        async def write(ctx: perdure.ObjectSharedContext) -> None:
            await sessions.create_session(app_name=APP, user_id=USER)

        self.do = handler
        self.look = look
        self.write = write


def said(text: str, **state: Any) -> Event:
    actions = EventActions(state_delta=state)
    return Event(invocation_id="i", author="user", content=UserContent(text), actions=actions)


async def add(*events: Event, session_id: str = SESSION, user_id: str = USER) -> None:
    session = await sessions.get_session(app_name=APP, user_id=user_id, session_id=session_id)
    for event in events:
        await sessions.append_event(session, event)


async def test_what_is_said_and_changed_is_there_in_the_next_invocation() -> None:
    turn = iter(range(10))

    async def do() -> None:
        await sessions.get_session(app_name=APP, user_id=USER, session_id=SESSION)  # from here, ids are the journal's
        await add(said(f"turn {next(turn)}", **{"mood": "fine", "temp:now": 1, "user:name": "Ada", "app:price": 3}))

    keeping = Keeping(do)
    async with Harness([keeping.service]) as h:
        await h.call(keeping.do, key="a")
        await h.call(keeping.do, key="a")
        seen = await h.call(keeping.look, key="a")
        assert seen["texts"] == ["turn 0", "turn 1"]
        assert seen["state"] == {"mood": "fine", "user:name": "Ada", "app:price": 3}
        assert (await h.call(keeping.look, key="b")) == {"state": {}, "texts": []}


async def test_temporary_state_is_there_until_the_turn_ends() -> None:
    async def do() -> list[Any]:
        session = await sessions.get_session(app_name=APP, user_id=USER, session_id=SESSION)
        await sessions.append_event(session, said("hello", **{"temp:now": 1}))
        read = await sessions.get_session(app_name=APP, user_id=USER, session_id=SESSION)
        return [session.state.get("temp:now"), read.state.get("temp:now")]

    keeping = Keeping(do)
    async with Harness([keeping.service], always_replay=True) as h:
        assert await h.call(keeping.do, key="a") == [1, None]


async def test_users_and_the_app_share_their_state_and_sessions_do_not() -> None:
    async def do() -> list[Any]:
        await sessions.create_session(app_name=APP, user_id="ada", session_id="1", state={"own": 1, "user:name": "Ada"})
        await sessions.create_session(app_name=APP, user_id="bob", session_id="2", state={"app:price": 3})
        states = [
            (await sessions.get_session(app_name=APP, user_id=user, session_id=id)).state
            for user, id in (("ada", "1"), ("ada", "new"), ("bob", "2"))
        ]
        return [*states, await sessions.get_user_state(app_name=APP, user_id="ada")]

    keeping = Keeping(do)
    async with Harness([keeping.service], always_replay=True) as h:
        assert await h.call(keeping.do, key="a") == [
            {"own": 1, "user:name": "Ada", "app:price": 3},
            {"user:name": "Ada", "app:price": 3},
            {"app:price": 3},
            {"name": "Ada"},
        ]


async def test_a_value_that_changes_often_is_one_state_key() -> None:
    async def do() -> dict[str, Any]:
        session = await sessions.get_session(app_name=APP, user_id=USER, session_id=SESSION)
        count = session.state.get("user:count", 0) + 1
        await add(said(f"turn {count}", **{"user:count": count, "user:name/full": "Ada", "app:gone": None}))
        return (await sessions.get_session(app_name=APP, user_id=USER, session_id="another")).state

    keeping = Keeping(do)
    async with Harness([keeping.service], always_replay=True) as h:
        for turn in range(1, 4):
            known = {"user:count": turn, "user:name/full": "Ada", "app:gone": None}
            assert await h.call(keeping.do, key="a") == known
        state = h.state("Sessions", "a")
        written = [journal_of(h, "Sessions/do").names("set-state")]
    kept = {name: value for name, value in state.items() if not name.startswith("adk/session")}
    assert kept == {
        "adk/user/tested/ada": ["count", "name/full"],
        "adk/user/tested/ada/count": 3,
        "adk/user/tested/ada/name%2Ffull": "Ada",
        "adk/app/tested": ["gone"],
        "adk/app/tested/gone": None,
    }
    assert not {"adk/user/tested/ada", "adk/app/tested"} & set(*written)


async def test_in_a_service_what_is_known_of_a_user_lasts_as_long_as_the_invocation() -> None:
    service = perdure.Service("Passing")

    @service.handler()
    async def do(ctx: perdure.Context) -> list[Any]:
        before = await sessions.get_user_state(app_name=APP, user_id=USER)
        await add(said("hello", **{"user:name": "Ada"}))
        return [before, await sessions.get_user_state(app_name=APP, user_id=USER)]

    async with Harness([service], always_replay=True) as h:
        assert await h.call(do) == [{}, {"name": "Ada"}]
        assert await h.call(do) == [{}, {"name": "Ada"}]


async def test_a_session_may_be_rewound(model: ScriptedModel) -> None:
    model.script = lambda request: Reply(f"heard {len(request.messages) - 1}")
    asking = Asking(assistant())

    @asking.object.handler()
    async def undo(ctx: perdure.ObjectContext) -> None:
        session = await sessions.get_session(app_name=APP, user_id=USER, session_id=SESSION)
        last = session.events[-1].invocation_id
        await asking.runner.rewind_async(user_id=USER, session_id=SESSION, rewind_before_invocation_id=last)

    async with Harness([asking.object]) as h:
        assert await h.call(asking.ask, "hello", key="ada") == "heard 1"
        await h.call(undo, key="ada")
        assert await h.call(asking.ask, "hello again", key="ada") == "heard 1"


async def test_sessions_are_listed_and_deleted() -> None:
    async def do() -> list[Any]:
        first = await sessions.create_session(app_name=APP, user_id="ada")
        await add(said("hello"), session_id="a/b", user_id="ada")
        await add(said("hello"), session_id="c", user_id="")
        await sessions.create_session(app_name="another", user_id="ada")
        every = [each.id for each in (await sessions.list_sessions(app_name=APP)).sessions]
        await sessions.delete_session(app_name=APP, user_id="ada", session_id=first.id)
        adas = [each.id for each in (await sessions.list_sessions(app_name=APP, user_id="ada")).sessions]
        again = await sessions.create_session(app_name=APP, user_id="ada", session_id=first.id, state={"again": True})
        return [every == [first.id, "a/b", "c"], adas, again.state]

    keeping = Keeping(do)
    async with Harness([keeping.service], always_replay=True) as h:
        assert await h.call(keeping.do, key="x") == [True, ["a/b"], {"again": True}]


async def test_a_session_is_created_once() -> None:
    async def do() -> str:
        await sessions.create_session(app_name=APP, user_id=USER, session_id=SESSION)
        try:
            await sessions.create_session(app_name=APP, user_id=USER, session_id=SESSION)
        except AlreadyExistsError as error:
            return str(error)
        return "twice"

    keeping = Keeping(do)
    async with Harness([keeping.service]) as h:
        assert "already exists" in await h.call(keeping.do, key="a")


async def test_only_the_events_that_are_asked_for_are_given() -> None:
    async def do() -> list[Any]:
        await add(*[said(f"event {n}", count=n) for n in range(5)])
        session = await sessions.get_session(app_name=APP, user_id=USER, session_id=SESSION)
        found = []
        for config in (
            GetSessionConfig(num_recent_events=2),
            GetSessionConfig(num_recent_events=0),
            GetSessionConfig(after_timestamp=session.events[3].timestamp),
        ):
            got = await sessions.get_session(app_name=APP, user_id=USER, session_id=SESSION, config=config)
            found.append(["".join(each.content.parts[0].text[-1] for each in got.events), got.state["count"]])
        return found

    keeping = Keeping(do)
    async with Harness([keeping.service]) as h:
        assert await h.call(keeping.do, key="a") == [["34", 4], ["", 4], ["34", 4]]


async def test_events_are_in_the_order_of_their_times_though_clocks_go_backwards(model: ScriptedModel) -> None:
    asking = Asking(assistant())

    @asking.object.handler()
    async def from_the_future(ctx: perdure.ObjectContext) -> None:
        event = said("later")
        event.timestamp = 2_000_000_000.0
        await add(event)

    async with Harness([asking.object]) as h:
        await h.call(from_the_future, key="ada")
        await h.call(asking.ask, "hello", key="ada")
        state = h.state("Tested", "ada")
    times = [value["event"]["timestamp"] for name, value in sorted(state.items()) if "/0" in name]
    assert len(times) == 3
    assert times == sorted(set(times))


async def test_a_shared_handler_cannot_change_a_session() -> None:
    keeping = Keeping(lambda: None)
    async with Harness([keeping.service], disable_retries=True) as h:
        with pytest.raises(AssertionError, match="shared handler, which can only read"):
            await h.call(keeping.write, key="a")


async def test_there_are_no_sessions_outside_of_a_handler() -> None:
    with pytest.raises(NotInHandler, match="get_session"):
        await sessions.get_session(app_name=APP, user_id=USER, session_id=SESSION)


async def test_a_turn_writes_its_events_and_nothing_else(model: ScriptedModel) -> None:
    model.script = lambda request: Reply("fine")
    asking = Asking(assistant())
    async with Harness([asking.object]) as h:
        written = []
        for turn in range(4):
            await h.call(asking.ask, f"turn {turn}", key="ada")
            written.append([name for name in journal_of(h, "Tested/ask").names("set-state") if "/0" in name])
    assert [len(each) for each in written] == [2, 2, 2, 2]
    assert len({name for turn in written for name in turn}) == 8


async def test_the_output_of_an_agent_is_kept_in_the_session(model: ScriptedModel) -> None:
    model.script = lambda request: Reply("blue")
    asking = Asking(assistant(output_key="colour"))

    @asking.object.handler(kind="shared")
    async def colour(ctx: perdure.ObjectSharedContext) -> str:
        service = asking.runner.session_service
        return (await service.get_session(app_name=APP, user_id=USER, session_id=SESSION)).state["colour"]

    async with Harness([asking.object]) as h:
        await h.call(asking.ask, "Which?", key="ada")
        assert await h.call(colour, key="ada") == "blue"


async def test_in_a_service_a_session_lasts_as_long_as_the_invocation(model: ScriptedModel) -> None:
    model.script = lambda request: Reply(f"heard {len(request.messages) - 1}")
    asking = Asking(assistant())
    twice = perdure.Service("Twice")

    @twice.handler()
    async def ask_twice(ctx: perdure.Context) -> list[str]:
        return [await asking.answer("one"), await asking.answer("two")]

    async with Harness([twice], always_replay=True) as h:
        assert await h.call(ask_twice) == ["heard 1", "heard 3"]
        assert await h.call(ask_twice) == ["heard 1", "heard 3"]


async def test_a_run_may_read_a_part_of_its_session(model: ScriptedModel) -> None:
    model.script = lambda request: Reply(f"heard {len(request.messages) - 1}")
    config = RunConfig(get_session_config=GetSessionConfig(num_recent_events=2))
    asking = Asking(assistant(), run_config=config)
    async with Harness([asking.object]) as h:
        answers = [await h.call(asking.ask, "hello", key="ada") for _ in range(4)]
    assert answers == ["heard 1", "heard 3", "heard 3", "heard 3"]
