// All services as one endpoint. `PORT` says where; `HTTP_VERSION=1.1` serves request and response, in place of both
// directions at once. Node runs these files as they are, without their types.

import * as http from "node:http";
import * as http2 from "node:http2";

import { endpoint } from "@restatedev/restate-sdk";

import { services as hardships } from "./hardships.mts";
import { services } from "./services.mts";

const app = endpoint();
for (const service of [...services, ...hardships]) app.bind(service);

const server =
  process.env.HTTP_VERSION === "1.1" ? http.createServer(app.http1Handler()) : http2.createServer(app.http2Handler());
server.listen(Number(process.env.PORT), "127.0.0.1");
