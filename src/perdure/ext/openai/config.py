"""The SDK's run configuration as a durable run needs it; what the user set stays in force."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agents import Model, ModelRetrySettings, ModelSettings, RunConfig
from agents.run_config import CallModelData, CallModelInputFilter

from perdure.errors import UsageError
from perdure.ext.openai.guardrails import durable_guardrail
from perdure.ext.openai.model import DurableProvider, durable_model, options_of
from perdure.ext.openai.run import current_run
from perdure.ext.openai.twins import original
from perdure.sdk.context import Context


def durable_config(config: RunConfig | Mapping[str, Any] | None, ctx: Context) -> RunConfig:
    """The configuration with durable models and guardrails, and without chance: time limits, retries, ids of traces."""
    given = config if isinstance(config, RunConfig) else RunConfig(**(config or {}))
    if isinstance(given.model_provider, DurableProvider):
        return given  # of the run around this one, as agents that are tools inherit it
    if given.sandbox is not None:
        raise UsageError(
            "a sandbox (RunConfig.sandbox) cannot be used in a durable run: what is done in it isn't recorded"
        )
    settings = given.model_settings or ModelSettings()
    return replace(
        given,
        model=durable_model(given.model) if isinstance(given.model, Model) else given.model,
        model_provider=DurableProvider(given.model_provider),
        model_settings=replace(settings, timeout=None, retry=ModelRetrySettings(max_retries=0)),
        call_model_input_filter=_NotesWhoAsks(given.call_model_input_filter, settings),
        input_guardrails=[durable_guardrail(each) for each in given.input_guardrails or ()] or None,
        output_guardrails=[durable_guardrail(each) for each in given.output_guardrails or ()] or None,
        trace_id=given.trace_id or f"trace_{ctx.uuid().hex}",
        group_id=given.group_id or ctx.invocation_id,  # the key of the provider's cache is made of it, too
    )


class _NotesWhoAsks:
    """The SDK's hook right before a model call: the one place where it tells which agent asks.

    The durable model has to know, and does itself what that agent's settings say of time limits and retries: the SDK
    would do it by the clock of this attempt.
    """

    def __init__(self, users: CallModelInputFilter | None, settings: ModelSettings) -> None:
        self._users = users
        self._settings = settings

    def __call__(self, data: CallModelData[Any]) -> Any:
        run = current_run()
        if run is not None:
            asking = original(data.agent)
            settings = asking.model_settings.resolve(self._settings)
            run.agent, run.timeout_s = asking, settings.timeout
            run.options = run.own_options or options_of(settings)
        return data.model_data if self._users is None else self._users(data)
