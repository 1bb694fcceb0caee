// The services of hardships.py on the official SDK: they are made to wait, to fail and to change.

import { type Context, RestatePromise, type RetryPolicy, rpc, service, TerminalError } from "@restatedev/restate-sdk";

import { ledger, mailbox, plain } from "./services.mts";
import { begin, tried } from "./telling.mts";

const QUICKLY = 20;

const threeAttempts = (then: "kill" | "pause"): RetryPolicy => ({
  initialInterval: QUICKLY,
  maxAttempts: 3,
  onMaxAttempts: then,
});

// ---- attempts that stand still are ended, and made again when there is something to do ----

/** How many attempts it took until its awakeable was completed. */
async function waits(ctx: Context, name: string): Promise<number> {
  begin(name);
  const { id, promise } = ctx.awakeable<string>();
  ctx.objectSendClient(mailbox, name).put(id);
  await promise;
  return tried.get(name)!;
}

async function waits_for_both(ctx: Context, name: string): Promise<string[]> {
  const letters = [ctx.awakeable<string>(), ctx.awakeable<string>()];
  ctx.objectSendClient(mailbox, name).put(letters.map(({ id }) => id).join(" "));
  return RestatePromise.all(letters.map(({ promise }) => promise));
}

/** Sleeps, calls and attaches, each for longer than an attempt may stand still; says in which attempt each ended. */
async function naps(ctx: Context, [ms, name]: [number, string]): Promise<unknown[]> {
  begin(name);
  await ctx.sleep(ms);
  const slept_in = await ctx.run("slept in", () => tried.get(name)!);
  const called = await ctx.serviceClient(plain).nap(ms);
  const called_in = await ctx.run("called in", () => tried.get(name)!);
  const handle = ctx.serviceSendClient(plain).nap(ms);
  const attached = await ctx.attach<string>(await handle.invocationId);
  return [called, attached, slept_in, called_in, tried.get(name)!];
}

// ---- attempts that fail are numbered ----

async function fails_each_time(_: Context, name: string): Promise<void> {
  begin(name);
  throw new Error("there is no hope");
}

async function attempts(_: Context, name: string): Promise<number> {
  return tried.get(name)!;
}

/** Version 5 of the protocol cannot say this: an SDK may fail the attempt, which is then made again. */
async function fails_with_metadata(_: Context): Promise<void> {
  throw new TerminalError("no", { errorCode: 422, metadata: { field: "amount" } });
}

async function metadata_of_failure(ctx: Context): Promise<Record<string, string> | null> {
  try {
    await ctx.serviceClient(doomed).fails_with_metadata();
  } catch (error) {
    if (error instanceof TerminalError) return error.metadata ?? null;
    throw error;
  }
  return null;
}

/** The same key inside and outside of a scope is two objects. An engine without scopes fails the attempt. */
async function adds_in_scope(ctx: Context, name: string): Promise<(number | null)[]> {
  const inside = await ctx.scope("blue").objectClient(ledger, name).add(5, rpc.opts({ limitKey: "tenant" }));
  return [inside, await ctx.objectClient(ledger, name).total()];
}

async function succeeds_at_last(_: Context, name: string): Promise<number> {
  const times = begin(name);
  if (times < 4) throw new Error("not yet");
  return times;
}

// ---- code that changes between attempts ----

/** Its second attempt does not do what the first one did. */
async function changes(ctx: Context, [how, name]: [string, string]): Promise<string> {
  if (begin(name) === 1) {
    await ctx.serviceClient(plain).echo("this");
    throw new Error("once more");
  }
  if (how === "another command") await ctx.sleep(1);
  else if (how === "another target") await ctx.serviceClient(plain).nap(1);
  else if (how === "another argument") await ctx.serviceClient(plain).echo("that");
  return "nobody noticed";
}

// ---- the services ----

const patient = service({
  name: "Patient",
  handlers: { waits, waits_for_both, naps },
  options: { inactivityTimeout: 100 },
});

const doomed = service({
  name: "Doomed",
  handlers: { fails_each_time, attempts, fails_with_metadata, metadata_of_failure, adds_in_scope },
  options: { retryPolicy: threeAttempts("kill") },
});

const stubborn = service({
  name: "Stubborn",
  handlers: { succeeds_at_last },
  options: { retryPolicy: threeAttempts("pause") },
});

const fickle = service({
  name: "Fickle",
  handlers: { changes },
  options: { retryPolicy: { initialInterval: QUICKLY } },
});

export const services = [patient, doomed, stubborn, fickle];
