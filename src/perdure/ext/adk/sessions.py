"""Sessions of ADK in the state of a virtual object: a turn writes its events, and nothing else."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from perdure.ext.adk.clock import Clock, set_clock
from perdure.ext.adk.codecs import from_json, to_json
from perdure.ext.adk.failures import EndingErrors
from perdure.ext.adk.messages import messages_of
from perdure.ext.adk.run_guard import DurableRuns
from perdure.ext.adk.session_logs import Logs
from perdure.ext.conversation import Conversations
from perdure.ext.durable_here import durable_here
from perdure.ext.failures import final
from perdure.ext.missing import needs

with needs("google-adk", extra="adk"):
    from google.adk.errors.already_exists_error import AlreadyExistsError
    from google.adk.events.event import Event
    from google.adk.platform import uuid as platform_uuid
    from google.adk.sessions.base_session_service import BaseSessionService, GetSessionConfig, ListSessionsResponse
    from google.adk.sessions.session import Session
    from google.adk.sessions.state import State


class DurableSessionService(BaseSessionService):
    """Keeps sessions in the state of the virtual object, or workflow, whose handler runs.

    A session need not be created: one that is asked for and is not there is a new one. State of a user (`user:`) is
    shared by the user's sessions in one object, and of an app (`app:`) by all of the object's; `temp:` is not kept.
    In the handler of a service, which has no state, sessions last as long as the invocation.
    """

    async def create_session(
        self,
        *,
        app_name: str,
        user_id: str,
        state: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> Session:
        """Begins a session.

        Raises:
            AlreadyExistsError: there is one with this id.
        """
        logs = Logs(durable_here("DurableSessionService.create_session"))
        logs.check_writes("create_session")
        await set_clock(logs.ctx)
        id = (session_id or "").strip() or platform_uuid.new_uuid()
        log = logs.session(app_name, user_id, id)
        async with logs.changing:
            if await log.items(last=1):
                raise final(AlreadyExistsError(f"Session with id {id} already exists."))
            begun = logs.ctx.attached(Clock).now
            await log.append([{"begun": begun, "state": await _shared_out(logs, app_name, user_id, state or {})}])
        return await _read(logs, app_name, user_id, id, None)

    async def get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: GetSessionConfig | None = None
    ) -> Session:
        """The session with this id; a new one if there is none."""
        logs = Logs(durable_here("DurableSessionService.get_session"))
        if logs.writable:  # else nothing is written that a time would go into
            await set_clock(logs.ctx)
        return await _read(logs, app_name, user_id, session_id.strip(), config)

    async def list_sessions(self, *, app_name: str, user_id: str | None = None) -> ListSessionsResponse:
        """The sessions in this object, of one user or of all, without events and state; the latest is the last."""
        logs = Logs(durable_here("DurableSessionService.list_sessions"))
        sessions: list[Session] = []
        for user, id in await logs.sessions(app_name, user_id):
            if records := await logs.session(app_name, user, id).items(last=1):
                session = Session(app_name=app_name, user_id=user, id=id)
                session.last_update_time = _time_of(records[-1])
                sessions.append(session)
        return ListSessionsResponse(sessions=sorted(sessions, key=lambda each: each.last_update_time))

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Removes a session; what is known of its user stays."""
        logs = Logs(durable_here("DurableSessionService.delete_session"))
        logs.check_writes("delete_session")
        async with logs.changing:
            await logs.session(app_name, user_id, session_id.strip()).clear()

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """What is known of a user, without the prefix."""
        logs = Logs(durable_here("DurableSessionService.get_user_state"))
        return await logs.user(app_name, user_id).values()

    async def append_event(self, session: Session, event: Event) -> Event:
        """Adds an event, with what it changes in the state; but not that an exception was raised, which passes.

        Raises:
            UsageError: it is of a run without DurablePlugin.
        """
        logs = Logs(durable_here("DurableSessionService.append_event"))
        logs.check_writes("append_event")
        logs.ctx.attached(DurableRuns).check(event)
        logs.ctx.attached(EndingErrors).check(event.invocation_id)
        event = await super().append_event(session, event)
        if event.partial or _is_exception(event):
            return event
        session.last_update_time = event.timestamp
        async with logs.changing:
            await _shared_out(logs, session.app_name, session.user_id, event.actions.state_delta)
            await logs.session(session.app_name, session.user_id, session.id).append([{"event": _dumped(event)}])
        return event


async def _read(logs: Logs, app_name: str, user_id: str, id: str, config: GetSessionConfig | None) -> Session:
    records = await logs.session(app_name, user_id, id).items()
    events = [from_json(Event, each["event"]) for each in records if "event" in each]
    session = Session(app_name=app_name, user_id=user_id, id=id)
    session.state |= next((each["state"] for each in records if "state" in each), dict[str, Any]())
    for event in events:
        session.state |= _of_session(event.actions.state_delta)
    for prefix, state in ((State.APP_PREFIX, logs.app(app_name)), (State.USER_PREFIX, logs.user(app_name, user_id))):
        session.state |= {prefix + key: value for key, value in (await state.values()).items()}
    clock = logs.ctx.attached(Clock)
    for event in events:
        clock.reach(event.timestamp)  # what comes is later than what is there, though clocks differ: ADK goes by it
    session.last_update_time = _time_of(records[-1]) if records else clock.now
    session.events = _chosen(events, config or GetSessionConfig())
    contents = [event.content for event in session.events if event.content is not None]
    logs.ctx.attached(Conversations).loaded(id, messages_of(contents))
    return session


def _chosen(events: list[Event], config: GetSessionConfig) -> list[Event]:
    if config.num_recent_events is not None:
        events = events[max(0, len(events) - config.num_recent_events) :]
    if config.after_timestamp is not None:
        events = [event for event in events if event.timestamp >= config.after_timestamp]
    return events


async def _shared_out(logs: Logs, app_name: str, user_id: str, delta: Mapping[str, Any]) -> dict[str, Any]:
    """Writes what belongs to the user and to the app, and gives what is left to the session."""
    for prefix, state in ((State.APP_PREFIX, logs.app(app_name)), (State.USER_PREFIX, logs.user(app_name, user_id))):
        changed = {key.removeprefix(prefix): value for key, value in delta.items() if key.startswith(prefix)}
        if changed:
            await state.update(to_jsonable_python(changed))
    return to_jsonable_python(_of_session(delta))


def _of_session(delta: Mapping[str, Any]) -> dict[str, Any]:
    others = (State.APP_PREFIX, State.USER_PREFIX, State.TEMP_PREFIX)
    return {key: value for key, value in delta.items() if not key.startswith(others)}


def _dumped(event: Event) -> dict[str, Any]:
    dumped = to_json(event)
    for part in ("actions", "nodeInfo"):
        dumped[part] = {name: value for name, value in dumped[part].items() if value not in ({}, "")}
    return dumped


def _is_exception(event: Event) -> bool:
    """Whether it says no more than that code has raised something. What a model fails with, says more."""
    of_model = (event.content, event.finish_reason, event.usage_metadata, event.model_version)
    return event.error_code is not None and all(each is None for each in of_model)


def _time_of(record: Mapping[str, Any]) -> float:
    return record["event"]["timestamp"] if "event" in record else record["begun"]
