// The services of services.py on the official SDK: name for name, behaviour for behaviour.

import {
  type Context,
  handlers,
  object,
  type ObjectContext,
  type ObjectSharedContext,
  RestatePromise,
  RetryableError,
  rpc,
  serde,
  service,
  TerminalError,
  workflow,
  type WorkflowContext,
  type WorkflowSharedContext,
} from "@restatedev/restate-sdk";

import { begin, codeOf, told, tried } from "./telling.mts";

const MINUTE = 60_000;

// ---- values ----

async function echo(_: Context, text: string): Promise<string> {
  return text;
}

async function nothing(_: Context): Promise<void> {}

async function headers(ctx: Context): Promise<Record<string, string>> {
  return Object.fromEntries([...ctx.request().headers].filter(([name]) => name.startsWith("x-test-")));
}

async function fails(_: Context, code: number): Promise<void> {
  throw new TerminalError("no, and that is final", { errorCode: code });
}

const echo_bytes = handlers.handler(
  { accept: "application/octet-stream", input: serde.binary, output: serde.binary },
  async (_: Context, data: Uint8Array): Promise<Uint8Array> => data,
);

async function own_id(ctx: Context): Promise<string> {
  return ctx.request().id;
}

// ---- runs and retries ----

async function steps(ctx: Context, count: number): Promise<number[]> {
  const squares: number[] = [];
  for (let n = 0; n < count; n++) squares.push(await ctx.run(`step ${n}`, () => n * n));
  return squares;
}

/** Counts one that has begun, and waits for the others: for ever, if they do not run at the same time. */
async function all_have_begun(name: string, count: number): Promise<void> {
  begin(name);
  while (tried.get(name)! < count) await new Promise((done) => setTimeout(done, 10));
}

async function steps_together(ctx: Context, count: number): Promise<number[]> {
  const squared = async (n: number): Promise<number> => {
    await all_have_begun(ctx.request().id, count);
    return n * n;
  };
  return RestatePromise.all(Array.from({ length: count }, (_, n) => ctx.run(`step ${n}`, () => squared(n))));
}

async function big_step(ctx: Context, size: number): Promise<number> {
  return (await ctx.run("big", () => "x".repeat(size))).length;
}

async function step_fails_for_good(ctx: Context, text: string): Promise<string> {
  const refuse = (): string => {
    throw new TerminalError(text, { errorCode: 418 });
  };
  return told(() => ctx.run("refuse", refuse));
}

async function step_fails_twice(ctx: Context, name: string): Promise<number> {
  const flaky = (): number => {
    const times = begin(name);
    if (times < 3) throw new Error("not yet");
    return times;
  };
  return ctx.run("flaky", flaky, { initialRetryInterval: 50 });
}

async function step_gives_up(ctx: Context, name: string): Promise<string> {
  const broken = (): void => {
    begin(name);
    throw new Error("never");
  };
  try {
    await ctx.run("broken", broken, { maxRetryAttempts: 2, initialRetryInterval: 50 });
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    return `gave up after ${tried.get(name)}`;
  }
  return "did not give up";
}

async function step_runs_out_of_time(ctx: Context, name: string): Promise<string> {
  const broken = (): void => {
    begin(name);
    throw new Error("never");
  };
  try {
    await ctx.run("broken", broken, { maxRetryDuration: 300, initialRetryInterval: 50 });
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    return "gave up";
  }
  return "did not give up";
}

async function handler_fails_once(ctx: Context, name: string): Promise<number> {
  const done = await ctx.run("count", () => begin(`${name} step`));
  if (begin(name) < 2) throw new Error("the first attempt fails");
  return done;
}

/** Names the time of its next attempt; gives the milliseconds that went by until then. */
async function fails_until_later(_: Context, name: string): Promise<number> {
  if (begin(name) === 1) {
    tried.set(`${name} at`, performance.now());
    throw new RetryableError("not now", { retryAfter: 400 });
  }
  return Math.floor(performance.now() - tried.get(`${name} at`)!);
}

/** Has done one step each time that it fails, so that it is tried again, and again. */
async function never_succeeds(ctx: Context, why: string): Promise<void> {
  await ctx.run("the step before", () => 1);
  throw new Error(why);
}

/** What must be the same on each attempt: the sleep makes a second one over HTTP/1.1. */
async function random_values(ctx: Context): Promise<unknown[]> {
  const uuid = ctx.rand.uuidv4();
  const before = [uuid, ctx.rand.random(), await ctx.date.now()];
  begin(uuid);
  await ctx.sleep(10);
  return [...before, tried.get(uuid)];
}

// ---- time, calls, combinators ----

async function nap(ctx: Context, ms: number): Promise<string> {
  await ctx.sleep(ms);
  return `slept ${ms}`;
}

async function calls(ctx: Context, text: string): Promise<string[]> {
  const typed = await ctx.serviceClient(plain).echo(text);
  const generic = await ctx.genericCall({
    service: "Plain",
    method: "echo",
    parameter: new TextEncoder().encode(`"${text}"`),
    headers: { "x-test-by": "calls" },
  });
  return [typed, new TextDecoder().decode(generic)];
}

async function headers_of_callee(ctx: Context): Promise<Record<string, string>> {
  return ctx.serviceClient(plain).headers(rpc.opts({ headers: { "x-test-by": "a handler" } }));
}

async function calls_workflow(ctx: Context, name: string): Promise<string[]> {
  ctx.workflowSendClient(approval, name).run("claim");
  const noted = await ctx.workflowClient(approval, name).decide("yes");
  const late = await ctx.workflowClient(approval, name).decide("no");
  return [noted, late];
}

async function calls_what_fails(ctx: Context, code: number): Promise<string> {
  return told(async () => {
    await ctx.serviceClient(plain).fails(code);
    return "did not fail";
  });
}

async function gathers(ctx: Context, naps_ms: number[]): Promise<string[]> {
  return RestatePromise.all(naps_ms.map((ms) => ctx.serviceClient(plain).nap(ms)));
}

async function meets(_: Context, [name, count]: [string, number]): Promise<string> {
  await all_have_begun(name, count);
  return "met";
}

async function gathers_at_once(ctx: Context, count: number): Promise<string[]> {
  const { id } = ctx.request();
  return RestatePromise.all(Array.from({ length: count }, () => ctx.serviceClient(plain).meets([id, count])));
}

async function selects(ctx: Context): Promise<string[]> {
  const slow = ctx.sleep(10 * MINUTE).map(() => ["slow", ""]);
  const quick = ctx.serviceClient(plain).nap(20).map((text) => ["quick", text!]);
  return RestatePromise.race([slow, quick]);
}

/** Completes one after the other, the last first, each when the one before has come. */
async function as_they_complete(ctx: Context, count: number): Promise<number[]> {
  const letters = Array.from({ length: count }, () => ctx.awakeable<number>());
  const pending = new Map(letters.map(({ promise }, index) => [index, promise]));
  const came: number[] = [];
  for (let next = count - 1; pending.size > 0; next--) {
    ctx.resolveAwakeable(letters[next].id, next);
    const n = await RestatePromise.race([...pending.values()]);
    pending.delete(n);
    came.push(n);
  }
  return came;
}

async function times_out(ctx: Context): Promise<string> {
  const { promise } = ctx.awakeable<string>();
  return RestatePromise.race([promise.map(() => "answer"), ctx.sleep(50).map(() => "timeout")]);
}

type Nap = [ms: number, code: number];

/** Fails after its nap, unless the code is 200. */
async function nap_then(ctx: Context, [ms, code]: Nap): Promise<string> {
  await ctx.sleep(ms);
  if (code !== 200) throw new TerminalError("no", { errorCode: code });
  return `slept ${ms}`;
}

async function first_to_succeed(ctx: Context, naps: Nap[]): Promise<string> {
  return RestatePromise.any(naps.map((nap) => ctx.serviceClient(plain).nap_then(nap)));
}

async function all_or_first_to_fail(ctx: Context, naps: Nap[]): Promise<string[]> {
  try {
    return await RestatePromise.all(naps.map((nap) => ctx.serviceClient(plain).nap_then(nap)));
  } catch (error) {
    return [`${codeOf(error)}`];
  }
}

async function all_outcomes(ctx: Context, naps: Nap[]): Promise<string[]> {
  const outcomes = await RestatePromise.allSettled(naps.map((nap) => ctx.serviceClient(plain).nap_then(nap)));
  return outcomes.map((outcome) => (outcome.status === "fulfilled" ? outcome.value : `${codeOf(outcome.reason)}`));
}

// ---- sends ----

async function sends(ctx: Context, name: string): Promise<string> {
  return ctx.objectSendClient(ledger, name).add(5, rpc.sendOpts({ headers: { "x-test-by": "sends" } })).invocationId;
}

async function sends_by_name(ctx: Context, name: string): Promise<string> {
  const parameter = new TextEncoder().encode("6");
  return ctx.genericSend({ service: "Ledger", method: "add", key: name, parameter, delay: 10 }).invocationId;
}

async function sends_later(ctx: Context, name: string): Promise<string> {
  return ctx.objectSendClient(ledger, name).add(7, rpc.sendOpts({ delay: 300 })).invocationId;
}

async function calls_with_idempotency_key(ctx: Context, name: string): Promise<number[]> {
  const once = rpc.opts<number, number>({ idempotencyKey: "once" });
  const first = await ctx.objectClient(ledger, name).add(1, once);
  const second = await ctx.objectClient(ledger, name).add(1, once);
  return [first, second];
}

async function attaches(ctx: Context, ms: number): Promise<string> {
  const handle = ctx.serviceSendClient(plain).nap(ms);
  return ctx.attach<string>(await handle.invocationId);
}

// ---- cancellation ----

async function cancels(ctx: Context): Promise<string> {
  const id = await ctx.serviceSendClient(plain).nap(10 * MINUTE).invocationId;
  ctx.cancel(id);
  try {
    return await ctx.attach<string>(id);
  } catch (error) {
    return `${codeOf(error)}`;
  }
}

async function cancels_its_call(ctx: Context): Promise<string> {
  const call = ctx.serviceClient(plain).nap(10 * MINUTE);
  ctx.cancel(await call.invocationId);
  try {
    return await call;
  } catch (error) {
    return `${codeOf(error)}`;
  }
}

/** Goes on after a cancel: steps, sleeps and calls are as before. */
async function makes_good(ctx: Context, name: string): Promise<string> {
  ctx.objectSendClient(mailbox, name).put("started");
  try {
    await ctx.sleep(10 * MINUTE);
  } catch (error) {
    const code = codeOf(error);
    const undone = await ctx.run("undo", () => "undone");
    await ctx.sleep(10);
    return ctx.serviceClient(plain).echo(`${undone} after ${code}`);
  }
  return "was not cancelled";
}

/** Calls a handler that waits for ever; a cancel from outside reaches that one first. */
async function tells_when_cancelled(ctx: Context, name: string): Promise<string> {
  ctx.objectSendClient(mailbox, name).put("started");
  try {
    return await ctx.serviceClient(plain).waits_until_cancelled(name);
  } catch (error) {
    return `caller ${codeOf(error)}`;
  }
}

async function waits_until_cancelled(ctx: Context, name: string): Promise<string> {
  try {
    await ctx.sleep(10 * MINUTE);
  } catch (error) {
    ctx.objectSendClient(mailbox, `${name} child`).put(`child ${codeOf(error)}`);
    throw error;
  }
  return "was not cancelled";
}

// ---- awakeables and signals ----

async function waits_for_awakeable(ctx: Context, name: string): Promise<string> {
  const { id, promise } = ctx.awakeable<string>();
  ctx.objectSendClient(mailbox, name).put(id);
  return told(async () => `got ${await promise}`);
}

async function awakeable_by_handler(ctx: Context, how: string): Promise<string> {
  const { id, promise } = ctx.awakeable<string>();
  ctx.serviceSendClient(plain).completes_awakeable([how, id]);
  return told(async () => `got ${await promise}`);
}

async function completes_awakeable(ctx: Context, [how, id]: [string, string]): Promise<void> {
  if (how === "resolve") ctx.resolveAwakeable(id, "a letter");
  else ctx.rejectAwakeable(id, new TerminalError("lost in the post", { errorCode: 410 }));
}

/** Starts a handler that waits for a named signal, gives it, and says what came of it. */
async function signalled(ctx: Context, how: string): Promise<string> {
  const waiting = ctx.invocation(await ctx.serviceSendClient(plain).waits_for_signal("go").invocationId);
  const signal = waiting.signal<string>("go");
  if (how === "resolve") signal.resolve("on");
  else signal.reject(new TerminalError("stay", { errorCode: 403 }));
  return waiting.attach<string>();
}

async function waits_for_signal(ctx: Context, name: string): Promise<string> {
  return told(async () => `go ${await ctx.signal<string>(name)}`);
}

// ---- state ----

async function add(ctx: ObjectContext, amount: number): Promise<number> {
  const total = ((await ctx.get<number>("total")) ?? 0) + amount;
  ctx.set("total", total);
  return total;
}

async function total(ctx: ObjectSharedContext): Promise<number | null> {
  return ctx.get<number>("total");
}

/** Loses updates if two of one key ever run together. */
async function add_slowly(ctx: ObjectContext, amount: number): Promise<number> {
  const before = (await ctx.get<number>("total")) ?? 0;
  await ctx.sleep(20);
  ctx.set("total", before + amount);
  return before + amount;
}

/** Has its key for so long. */
async function holds(ctx: ObjectContext, ms: number): Promise<string> {
  await ctx.sleep(ms);
  return `held ${ms}`;
}

/** Has its key until its awakeable is completed. */
async function holds_until_told(ctx: ObjectContext, name: string): Promise<string> {
  const { id, promise } = ctx.awakeable<string>();
  ctx.objectSendClient(mailbox, name).put(id);
  return `held until ${await promise}`;
}

/** Its first attempt fails after it has set the state. */
async function adds_and_fails_once(ctx: ObjectContext, name: string): Promise<number> {
  const total = ((await ctx.get<number>("total")) ?? 0) + 1;
  ctx.set("total", total);
  await ctx.run("the set is recorded", () => {});
  if (begin(name) === 1) throw new Error("the first attempt fails");
  return total;
}

async function keeps(ctx: ObjectContext, text: string): Promise<void> {
  ctx.set("text", text);
}

async function size_of_kept(ctx: ObjectSharedContext): Promise<number> {
  return (await ctx.get<string>("text"))!.length;
}

async function tour(ctx: ObjectContext): Promise<unknown[]> {
  const keys = async () => (await ctx.stateKeys()).sort();
  const seen: unknown[] = [await ctx.get<string>("a"), await keys()];
  ctx.set("a", "1");
  ctx.set("b", "");
  seen.push(await ctx.get<string>("a"), await ctx.get<string>("b"), await keys());
  ctx.clear("a");
  seen.push(await ctx.get<string>("a")); // no keys here: the official SDKs still name "a", read eagerly
  ctx.clearAll();
  seen.push(await keys());
  ctx.set("left", "over");
  return [ctx.key, ...seen];
}

async function put(ctx: ObjectContext, letter: string): Promise<void> {
  ctx.set("letter", letter);
}

async function peek(ctx: ObjectSharedContext): Promise<string | null> {
  return ctx.get<string>("letter");
}

// ---- workflow ----

async function run(ctx: WorkflowContext, claim: string): Promise<string> {
  ctx.set("claim", claim);
  return `${claim}: ${await told(() => ctx.promise<string>("decision").get())}`;
}

/** Gives the decision; says what a second one meets. */
async function decide(ctx: WorkflowSharedContext, decision: string): Promise<string> {
  const promise = ctx.promise<string>("decision");
  try {
    if (decision === "refuse") await promise.reject("refused");
    else await promise.resolve(decision);
  } catch (error) {
    return `too late: ${codeOf(error)}`;
  }
  return "noted";
}

async function state_of(ctx: WorkflowSharedContext): Promise<(string | null)[]> {
  return [await ctx.get<string>("claim"), (await ctx.promise<string>("decision").peek()) ?? null];
}

// ---- the services ----

const { shared } = handlers.object;

export const plain = service({
  name: "Plain",
  handlers: {
    echo, nothing, headers, fails, echo_bytes, own_id,
    steps, steps_together, big_step, step_fails_for_good, step_fails_twice, step_gives_up, step_runs_out_of_time,
    handler_fails_once, fails_until_later, never_succeeds, random_values,
    nap, calls, headers_of_callee, calls_workflow, calls_what_fails,
    gathers, meets, gathers_at_once, selects, as_they_complete, times_out, nap_then, first_to_succeed, all_or_first_to_fail, all_outcomes,
    sends, sends_by_name, sends_later, calls_with_idempotency_key, attaches,
    cancels, cancels_its_call, makes_good, tells_when_cancelled, waits_until_cancelled,
    waits_for_awakeable, awakeable_by_handler, completes_awakeable, signalled, waits_for_signal,
  },
});

export const ledger = object({
  name: "Ledger",
  handlers: {
    add, total: shared(total), add_slowly, holds, holds_until_told, tour, adds_and_fails_once,
    keeps, size_of_kept: shared(size_of_kept),
  },
});

const lazy_ledger = object({
  name: "LazyLedger",
  handlers: { tour, add },
  options: { enableLazyState: true },
});

export const mailbox = object({ name: "Mailbox", handlers: { put, peek: shared(peek) } });

const approval = workflow({ name: "Approval", handlers: { run, decide, state_of } });

export const services = [plain, ledger, lazy_ledger, mailbox, approval];
