// What the TypeScript client does, by name: `node typescript_client.cjs SCENARIO INGRESS_URL KEY` prints what came of it.

const { connect, rpc, HttpCallError } = require("@restatedev/restate-sdk-clients");
const { serde } = require("@restatedev/restate-sdk-core");

const [scenario, url, key] = process.argv.slice(2);
const ingress = connect({ url, retry: true });
const nothing = rpc.opts({ input: serde.empty }); // the client's JSON says that it is JSON even of no body
const plain = ingress.serviceClient({ name: "Plain" });
const ledger = ingress.objectClient({ name: "Ledger" }, key);
const ledgerSend = ingress.objectSendClient({ name: "Ledger" }, key);
const approval = ingress.workflowClient({ name: "Approval" }, key);

async function eventually(ask) {
  for (const deadline = Date.now() + 15_000; Date.now() < deadline; ) {
    const answer = await ask();
    if (answer !== null && answer !== undefined) return answer;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error("not within 15 s");
}

async function refused(doing) {
  try {
    return { answered: await doing };
  } catch (error) {
    if (!(error instanceof HttpCallError)) throw error;
    return { status: error.status, ...JSON.parse(error.responseText) };
  }
}

const scenarios = {
  calls: async () => [await plain.echo("hello"), await ledger.add(3), await ledger.total(nothing)],

  genericCall: () => ingress.call({ service: "Ledger", handler: "add", key, parameter: 4, opts: rpc.opts({}) }),

  headers: () => plain.headers(rpc.opts({ input: serde.empty, headers: { "x-test-tenant": "blue" } })),

  finalError: () => refused(plain.fails(418)),

  unknownHandler: () => refused(plain.nobody("x")),

  idempotentCall: async () => {
    const once = rpc.opts({ idempotencyKey: key });
    return [await ledger.add(5, once), await ledger.add(5, once), await ledger.total(nothing)];
  },

  sends: async () => {
    const sent = await ledgerSend.add(6, rpc.sendOpts({ idempotencyKey: key }));
    const again = await ledgerSend.add(6, rpc.sendOpts({ idempotencyKey: key }));
    return {
      statuses: [sent.status, again.status],
      same: sent.invocationId === again.invocationId,
      result: await ingress.result(sent),
    };
  },

  genericSend: async () => {
    const sent = await ingress.send({
      service: "Plain", handler: "nap", parameter: 20, opts: rpc.sendOpts({ idempotencyKey: key }),
    });
    return ingress.result(sent);
  },

  delayedSend: async () => {
    const begun = Date.now();
    const sent = await ledgerSend.add(7, rpc.sendOpts({ delay: 300, idempotencyKey: key }));
    const result = await ingress.result(sent);
    return { result, waited: Date.now() - begun >= 300 };
  },

  workflow: async () => {
    const first = await approval.workflowSubmit("claim");
    const second = await approval.workflowSubmit("claim");
    const early = await approval.workflowOutput();
    await eventually(async () => (await approval.state_of(nothing))[0]);
    const decided = await approval.decide("yes");
    const attached = await approval.workflowAttach();
    const late = await approval.workflowOutput();
    return {
      statuses: [first.status, second.status],
      same: first.invocationId === second.invocationId,
      early: early.ready,
      decided,
      attached,
      late,
      result: await ingress.result(first),
    };
  },

  awakeableResolved: () => awakeable((id) => ingress.resolveAwakeable(id, "news")),

  awakeableRejected: () => awakeable((id) => ingress.rejectAwakeable(id, "no news")),

  timeout: async () => {
    try {
      return await plain.nap(600_000, rpc.opts({ timeout: 100 }));
    } catch (error) {
      return error.name;
    }
  },

  scopes: async () => {
    const other = ingress.scope("blue").objectClient({ name: "Ledger" }, key);
    const limited = rpc.opts({ limitKey: "tenant/user" });
    return [
      await ledger.add(1),
      await other.add(10, limited),
      await other.add(10),
      await ingress.call({ service: "Ledger", handler: "total", key, scope: "blue", parameter: undefined, opts: nothing }),
      await ledger.total(nothing),
    ];
  },

  scopedSends: async () => {
    const scope = ingress.scope("blue");
    const once = { idempotencyKey: key };
    const delayed = await scope.serviceSendClient({ name: "Plain" }).nap(5, rpc.sendOpts({ ...once, delay: 50 }));
    const unscoped = await ingress.serviceSendClient({ name: "Plain" }).nap(5, rpc.sendOpts(once));
    const submitted = await scope.workflowClient({ name: "Approval" }, key).workflowSubmit("claim");
    return {
      different: delayed.invocationId !== unscoped.invocationId,
      result: await ingress.result(delayed),
      submitted: submitted.status,
      elsewhere: (await approval.workflowSubmit("claim")).status,
    };
  },

  limitKeyWithoutScope: () => refused(plain.echo("x", rpc.opts({ limitKey: "tenant" }))),
};

async function awakeable(complete) {
  const waiting = plain.waits_for_awakeable(key);
  const id = await eventually(() => ingress.objectClient({ name: "Mailbox" }, key).peek(nothing));
  await complete(id);
  return waiting;
}

scenarios[scenario]().then((answer) => process.stdout.write(JSON.stringify(answer ?? null)));
