// The services of identity_services.py on the official TypeScript SDK.

import * as http2 from "node:http2";

import { type Context, createEndpointHandler, object, type ObjectContext, service } from "@restatedev/restate-sdk";

const greeter = service({
  name: "Greeter",
  handlers: { greet: async (_: Context, name: string) => `hello ${name}` },
});
const counter = object({
  name: "Counter",
  handlers: { add: async (ctx: ObjectContext, amount: number) => `${ctx.key}: ${amount}` },
});

const identityKeys = process.env.IDENTITY_KEYS!.split(" ");
http2
  .createServer(createEndpointHandler({ services: [greeter, counter], identityKeys, bidirectional: true }))
  .listen(Number(process.env.PORT), "127.0.0.1");
