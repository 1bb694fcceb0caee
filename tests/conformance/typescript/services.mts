// The services of services.py on the official TypeScript SDK: name for name, behaviour for behaviour.
//
// Node runs this file as it is, without its types; `PORT` says where. `HTTP_VERSION=1.1` serves request and response
// in place of both directions at once.

import * as http from "node:http";
import * as http2 from "node:http2";

import {
  type Context,
  endpoint,
  handlers,
  object,
  type ObjectContext,
  type ObjectSharedContext,
  RestatePromise,
  rpc,
  service,
  TerminalError,
  workflow,
  type WorkflowContext,
  type WorkflowSharedContext,
} from "@restatedev/restate-sdk";

const MINUTE = 60_000;

/** How often something was begun in this process, by what the caller named it. */
const tried = new Map<string, number>();

function begin(name: string): number {
  const times = (tried.get(name) ?? 0) + 1;
  tried.set(name, times);
  return times;
}

/** What `action` gives, or its terminal error in the words of the tests. */
async function told(action: () => Promise<string>): Promise<string> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof TerminalError) return `${error.code} ${error.message}`;
    throw error;
  }
}

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

// ---- runs and retries ----

async function steps(ctx: Context, count: number): Promise<number[]> {
  const squares: number[] = [];
  for (let n = 0; n < count; n++) squares.push(await ctx.run(`step ${n}`, () => n * n));
  return squares;
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
    if (error instanceof TerminalError) return `gave up after ${tried.get(name)}`;
    throw error;
  }
  return "did not give up";
}

async function handler_fails_once(ctx: Context, name: string): Promise<number> {
  const done = await ctx.run("count", () => begin(`${name} step`));
  if (begin(name) < 2) throw new Error("the first attempt fails");
  return done;
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

async function calls_what_fails(ctx: Context, code: number): Promise<string> {
  return told(async () => {
    await ctx.serviceClient(plain).fails(code);
    return "did not fail";
  });
}

async function gathers(ctx: Context, naps_ms: number[]): Promise<string[]> {
  return RestatePromise.all(naps_ms.map((ms) => ctx.serviceClient(plain).nap(ms)));
}

async function selects(ctx: Context): Promise<string[]> {
  const slow = ctx.sleep(10 * MINUTE).map(() => ["slow", ""]);
  const quick = ctx.serviceClient(plain).nap(20).map((text) => ["quick", text!]);
  return RestatePromise.race([slow, quick]);
}

async function as_they_complete(ctx: Context, naps_ms: number[]): Promise<string[]> {
  const pending = new Map(
    naps_ms.map((ms, index) => [index, ctx.serviceClient(plain).nap(ms).map((text) => ({ index, text: text! }))]),
  );
  const completed: string[] = [];
  while (pending.size > 0) {
    const { index, text } = await RestatePromise.race([...pending.values()]);
    pending.delete(index);
    completed.push(text);
  }
  return completed;
}

// ---- sends ----

async function sends(ctx: Context, name: string): Promise<string> {
  return ctx.objectSendClient(ledger, name).add(5, rpc.sendOpts({ headers: { "x-test-by": "sends" } })).invocationId;
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
    if (error instanceof TerminalError) return `${error.code}`;
    throw error;
  }
}

/** Calls a handler that waits for ever; a cancel from outside reaches that one first. */
async function tells_when_cancelled(ctx: Context, name: string): Promise<string> {
  ctx.objectSendClient(mailbox, name).put("started");
  try {
    return await ctx.serviceClient(plain).waits_until_cancelled(name);
  } catch (error) {
    if (error instanceof TerminalError) return `caller ${error.code}`;
    throw error;
  }
}

async function waits_until_cancelled(ctx: Context, name: string): Promise<string> {
  try {
    await ctx.sleep(10 * MINUTE);
  } catch (error) {
    if (error instanceof TerminalError) ctx.objectSendClient(mailbox, `${name} child`).put(`child ${error.code}`);
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
    if (error instanceof TerminalError) return `too late: ${error.code}`;
    throw error;
  }
  return "noted";
}

async function state_of(ctx: WorkflowSharedContext): Promise<(string | null)[]> {
  return [await ctx.get<string>("claim"), (await ctx.promise<string>("decision").peek()) ?? null];
}

// ---- the endpoint ----

const { shared } = handlers.object;

const plain = service({
  name: "Plain",
  handlers: {
    echo, nothing, headers, fails,
    steps, step_fails_for_good, step_fails_twice, step_gives_up, handler_fails_once, never_succeeds, random_values,
    nap, calls, calls_what_fails, gathers, selects, as_they_complete,
    sends, sends_later, calls_with_idempotency_key, attaches,
    cancels, tells_when_cancelled, waits_until_cancelled,
    waits_for_awakeable, awakeable_by_handler, completes_awakeable, signalled, waits_for_signal,
  },
});
const ledger = object({ name: "Ledger", handlers: { add, total: shared(total), add_slowly, holds, tour } });
const lazy_ledger = object({ name: "LazyLedger", handlers: { tour, add }, options: { enableLazyState: true } });
const mailbox = object({ name: "Mailbox", handlers: { put, peek: shared(peek) } });
const approval = workflow({ name: "Approval", handlers: { run, decide, state_of } });

const app = endpoint().bind(plain).bind(ledger).bind(lazy_ledger).bind(mailbox).bind(approval);
const server =
  process.env.HTTP_VERSION === "1.1" ? http.createServer(app.http1Handler()) : http2.createServer(app.http2Handler());
server.listen(Number(process.env.PORT), "127.0.0.1");
