// All services as one endpoint. `PORT` says where; `HTTP_VERSION=1.1` serves request and response, in place of both
// directions at once; the endpoint tells of no newer protocol version than `CONFORMANCE_VERSION`. Node runs these files
// as they are, without their types.

import * as http from "node:http";
import * as http2 from "node:http2";

import { endpoint } from "@restatedev/restate-sdk";

import { services as hardships } from "./hardships.mts";
import { services } from "./services.mts";

const VERSION = Number(process.env.CONFORMANCE_VERSION ?? "7");

const app = endpoint();
for (const service of [...services, ...hardships]) app.bind(service);

type Answer = { write(chunk: Uint8Array, done?: (error?: Error | null) => void): boolean };

/** Whatever `handle` writes to a discovery, with the version that is to be announced. */
function announcing<Q extends { url?: string }, A extends Answer>(handle: (request: Q, answer: A) => void) {
  return (request: Q, answer: A): void => {
    if (request.url?.endsWith("/discover")) {
      const write = answer.write.bind(answer);
      answer.write = (chunk, done) => {
        const manifest = { ...JSON.parse(new TextDecoder().decode(chunk)), maxProtocolVersion: VERSION };
        return write(new TextEncoder().encode(JSON.stringify(manifest)), done);
      };
    }
    handle(request, answer);
  };
}

const server =
  process.env.HTTP_VERSION === "1.1"
    ? http.createServer(announcing(app.http1Handler()))
    : http2.createServer(announcing(app.http2Handler()));
server.listen(Number(process.env.PORT), "127.0.0.1");
