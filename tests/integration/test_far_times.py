"""A sleep without an end, and results that are kept for ever: everything about them can still be asked."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import httpx

import perdure
from perdure.embedded import Engine
from perdure.server.app import ServerConfig
from perdure.times import time_ms

FOR_EVER = timedelta(days=4_000_000)

napper = perdure.Service("Napper", inactivity_timeout=timedelta(0))
keeper = perdure.Service("Keeper", idempotency_retention=timedelta(days=9_000_000))


@napper.handler()
async def nap(ctx: perdure.Context) -> None:
    await ctx.sleep(FOR_EVER, name="eternity")


@keeper.handler()
async def keep(ctx: perdure.Context) -> str:
    return "kept"


async def test_what_never_ends_is_shown_everywhere(tmp_path: Path) -> None:
    http = ServerConfig(ingress_port=0, admin_port=0)
    async with (
        Engine(perdure.app([napper, keeper]), data_dir=tmp_path, http=http) as engine,
        httpx.AsyncClient(base_url=str(engine.ingress_url), trust_env=False, timeout=60) as ingress,
        httpx.AsyncClient(base_url=str(engine.admin_url), trust_env=False, timeout=30) as admin,
    ):
        id = (await ingress.post("/Napper/nap/send")).json()["invocationId"]
        deadline = time.monotonic() + 10
        while (shown := (await admin.get(f"/invocations/{id}")).json()).get("status") != "suspended":
            assert time.monotonic() < deadline, shown
            await asyncio.sleep(0.02)
        assert shown["waiting_reason"].startswith("waits for eternity that is due in ")
        assert (await ingress.get(f"/restate/output/{id}")).status_code == 470

        async def ask(sql: str, accept: str) -> httpx.Response:
            answer = await admin.post("/query", json={"query": sql}, headers={"accept": accept})
            assert answer.status_code == 200, answer.text
            return answer

        for accept in ("application/json", "*/*"):
            await ask("select waiting_reason, modified_at from sys_invocation", accept)
            await ask("select sleep_wakeup_at, entry_json from sys_journal", accept)
            await ask("select to_timestamp(1e18), to_timestamp_millis(9223372036854775807) as b, 1e999 as c", accept)
            await ask("select interval '1 day' * 1e999 as b", accept)
        rows = (await ask("select sleep_wakeup_at from sys_journal where index = 1", "application/json")).json()["rows"]
        assert time_ms(rows[0]["sleep_wakeup_at"]) > 4_000_000 * 86_400_000

        kept = await ingress.post("/Keeper/keep", headers={"idempotency-key": "k"})
        assert (kept.status_code, kept.text) == (200, '"kept"')
        assert kept.headers["idempotency-expires"] < "9100"
