// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The client against a server of this test that misbehaves in ways that a real one can't be made to. Time is a fake
// clock, so a time-out is a step of the clock and not a wait.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { KubeConfig } from "@kubernetes/client-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type KubeCall, KubeClient, type KubeClientOptions, METADATA_ONLY } from "../../../src/kube/client.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { createFolder } from "../../support/folder.ts";
import { catchApiError } from "../../support/kube-clients.ts";

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

let server: Server;
let origin: string;
let handler: Handler;
let clients: KubeClient[];

beforeEach(async () => {
  clients = [];
  server = createServer(async (request, response) => handler(request, response, await text(request)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  for (const client of clients) await client.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function createClient(options: Partial<KubeClientOptions> = {}, user: object = { name: "u" }): KubeClient {
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: "c", server: origin, skipTLSVerify: true }, { name: "u", ...user });
  const created = new KubeClient({
    kubeConfig: { config, server: origin, source: "test" },
    version: "1.2.3",
    clock: new FakeClock(),
    ...options,
  });
  clients.push(created);
  return created;
}

function answerJson(value: unknown): Handler {
  return (_request, response) => response.end(JSON.stringify(value));
}

const GET = { method: "GET", path: "/api/v1/pods" } as const;
const PUT = { method: "PUT", path: "/apis/g/v1/things/a", body: { a: 1 } } as const;

describe("what is sent", () => {
  test("method, path, query, headers and body", async () => {
    let seen: unknown;
    handler = (request, response, body) => {
      const { authorization, accept, "content-type": type, "user-agent": agent } = request.headers;
      seen = { line: `${request.method} ${request.url}`, authorization, accept, type, agent, body };
      response.end('{"ok":true}');
    };
    const answer = await createClient({}, { token: "t0" }).request({
      ...PUT,
      query: { fieldManager: "me", labelSelector: "a=b c", continue: undefined, limit: 5 },
    });
    expect(answer).toEqual({ ok: true });
    expect(seen).toEqual({
      line: "PUT /apis/g/v1/things/a?fieldManager=me&labelSelector=a%3Db+c&limit=5",
      authorization: "Bearer t0",
      accept: "application/json",
      type: "application/json",
      agent: "policy-violation-operator/1.2.3",
      body: '{"a":1}',
    });
  });

  test("other content types and accept values", async () => {
    let seen: unknown;
    handler = (request, response) => {
      seen = { accept: request.headers.accept, type: request.headers["content-type"] };
      response.end("{}");
    };
    await createClient().request({ ...GET, accept: METADATA_ONLY });
    expect(seen).toEqual({ accept: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", type: undefined });
    await createClient().request({ ...PUT, method: "PATCH", contentType: "application/merge-patch+json" });
    expect(seen).toEqual({ accept: "application/json", type: "application/merge-patch+json" });
  });

  test("user and password", async () => {
    let authorization: unknown;
    handler = (request, response) => {
      authorization = request.headers.authorization;
      response.end("{}");
    };
    await createClient({}, { username: "ann", password: "pw" }).request(GET);
    expect(authorization).toBe("Basic YW5uOnB3");
  });
});

test("connections one that the server closed is replaced", async () => {
  handler = (_request, response) => response.setHeader("connection", "close").end("{}");
  const one = createClient();
  await one.request(GET);
  await one.request(GET);
  expect(one.stats()).toEqual({ requests: 2, connectionsOpened: 2 });
});

describe("no answer", () => {
  test("within the time limit is NotAnswered, for the write may have happened", async () => {
    const clock = new FakeClock();
    const arrived = Promise.withResolvers<void>();
    handler = () => arrived.resolve();
    const pending = catchApiError(createClient({ clock }).request({ ...PUT, timeoutMs: 5000 }));
    await arrived.promise;
    await clock.advance(5000);
    const error = await pending;
    expect(error.code).toBe("NotAnswered");
    expect(error.message).toBe(
      `PUT ${origin}/apis/g/v1/things/a: no answer within 5 s; the request may have been carried out`,
    );
    expect(clock.pending).toBe(0);
  });

  test("the time limit is for the whole answer, not only for its beginning", async () => {
    const clock = new FakeClock();
    const begun = Promise.withResolvers<void>();
    handler = (_request, response) => {
      response.write('{"half":');
      begun.resolve();
    };
    const pending = catchApiError(createClient({ clock }).request(PUT));
    await begun.promise;
    await clock.advance(30_000);
    expect((await pending).code).toBe("NotAnswered");
  });

  test("because the connection was reset before any byte", async () => {
    handler = (request) => request.socket.resetAndDestroy();
    expect((await catchApiError(createClient().request(PUT))).code).toBe("NotAnswered");
  });

  test("because the connection was reset in the middle of the answer", async () => {
    handler = (request, response) => {
      response.setHeader("content-length", "1000");
      response.write('{"half":', () => request.socket.resetAndDestroy());
    };
    expect((await catchApiError(createClient().request(PUT))).code).toBe("NotAnswered");
  });

  test("because the caller gave up", async () => {
    const aborter = new AbortController();
    const clock = new FakeClock();
    handler = () => aborter.abort();
    const error = await catchApiError(createClient({ clock }).request({ ...PUT, signal: aborter.signal }));
    expect(error.code).toBe("NotAnswered");
    expect(clock.pending).toBe(0);
  });

  test("a caller that gave up before causes no request", async () => {
    const one = createClient();
    const error = await catchApiError(one.request({ ...PUT, signal: AbortSignal.abort() }));
    expect(error.code).toBe("Unavailable");
    expect(one.stats().requests).toBe(0);
  });

  test("because the port speaks no TLS is Unavailable: nothing was sent", async () => {
    handler = answerJson({});
    origin = origin.replace("http:", "https:");
    const error = await catchApiError(createClient().request(PUT));
    expect(error.code).toBe("Unavailable");
    expect(error.message).toContain("TLS");
  });

  test("without a listener is Unavailable: nothing was sent", async () => {
    const one = createClient();
    await new Promise((resolve) => server.close(resolve));
    const error = await catchApiError(one.request(PUT));
    expect(error.code).toBe("Unavailable");
    expect(error.message).toContain("is the API server up");
  });
});

test("a watch that is silent for too long ends, however long it has been open", async () => {
  let write: (text: string) => void = () => {};
  handler = (_request, response) => {
    write = (text) => response.write(text);
    write('{"n":1}\n');
  };
  const clock = new FakeClock();
  const events = createClient({ clock }).stream({ path: "/api/v1/pods", idleMs: 1000 });
  expect((await events.next()).value).toEqual({ n: 1 });
  await clock.advance(900);
  write('{"n":2}\n');
  expect((await events.next()).value).toEqual({ n: 2 });
  await clock.advance(900);
  const end = catchApiError(events.next());
  await clock.advance(100);
  expect((await end).code).toBe("NotAnswered");
});

describe("answers that can't be read", () => {
  test("a read beyond the bound is TooLarge, and a write NotAnswered", async () => {
    handler = answerJson({ padding: "x".repeat(2000) });
    const one = createClient({ maxResponseBytes: 1000 });
    expect((await catchApiError(one.request(GET))).code).toBe("TooLarge");
    expect((await catchApiError(one.request(PUT))).code).toBe("NotAnswered");
    handler = answerJson({ small: true });
    expect(await one.request(GET)).toEqual({ small: true });
  });

  test("compressed where the call allows it, bounded as it is and as it comes", async () => {
    const text = JSON.stringify({ items: Array.from({ length: 1000 }, () => ({ a: "b" })) });
    const asked: unknown[] = [];
    handler = (request, response) => {
      asked.push(request.headers["accept-encoding"]);
      if (asked.at(-1) === "gzip") response.setHeader("content-encoding", "gzip").end(gzipSync(text));
      else response.end(text);
    };
    const ask = (maxResponseBytes: number, mayCompress: boolean) =>
      createClient({ maxResponseBytes }).request({ ...GET, mayCompress });
    expect(await ask(text.length, true)).toEqual(JSON.parse(text));
    expect(await ask(text.length, false)).toEqual(JSON.parse(text));
    expect((await catchApiError(ask(text.length - 1, true))).code).toBe("TooLarge");
    expect((await catchApiError(ask(10, true))).code).toBe("TooLarge");
    expect(asked).toEqual(["gzip", undefined, "gzip", "gzip"]);
  });

  test("said to be compressed and is not", async () => {
    handler = (_request, response) => response.setHeader("content-encoding", "gzip").end('{"a":1}');
    expect((await catchApiError(createClient().request({ ...GET, mayCompress: true }))).code).toBe("NotAnswered");
  });

  test("no JSON", async () => {
    handler = (_request, response) => response.end("<html>welcome</html>");
    const error = await catchApiError(createClient().request(GET));
    expect(error.code).toBe("Unknown");
    expect(error.message).toContain("is this address a Kubernetes API server?");
    expect((await catchApiError(createClient().request(PUT))).code).toBe("NotAnswered");
  });

  test("an empty answer is undefined", async () => {
    handler = (_request, response) => response.end();
    expect(await createClient().request(GET)).toBeUndefined();
  });

  test("an error without a body", async () => {
    handler = (_request, response) => {
      response.statusCode = 503;
      response.setHeader("retry-after", "3");
      response.end();
    };
    const error = await catchApiError(createClient().request(GET));
    expect(error).toMatchObject({ code: "Unavailable", retryAfterMs: 3000 });
    expect(error.message).toBe("GET /api/v1/pods: no explanation (503)");
  });
});

describe("credentials", () => {
  test("that can't be had are Unauthorized, and nothing is sent", async () => {
    const one = createClient({}, { authProvider: { name: "tokenFile", config: { tokenFile: "/no/such/token" } } });
    const error = await catchApiError(one.request(GET));
    expect(error.code).toBe("Unauthorized");
    expect(error.message).toContain("/no/such/token");
    expect(one.stats().requests).toBe(0);
  });

  test("of a plugin are asked for once by many requests, and again after a 401", async () => {
    const directory = createFolder();
    const runs = join(directory, "runs");
    const script = `echo run >> ${runs}; printf '{"status": {"token": "t%s"}}' "$(wc -l < ${runs} | tr -d ' ')"`;
    const one = createClient({}, { exec: { apiVersion: "v1", command: "sh", args: ["-c", script] } });
    const runCount = () => readFileSync(runs, "utf8").split("\n").length - 1;
    const tokens: (string | undefined)[] = [];
    handler = (request, response) => {
      tokens.push(request.headers.authorization);
      response.statusCode = request.headers.authorization === "Bearer t1" && isExpired ? 401 : 200;
      response.end("{}");
    };
    let isExpired = false;
    await Promise.all(Array.from({ length: 10 }, () => one.request(GET)));
    expect([runCount(), new Set(tokens)]).toEqual([1, new Set(["Bearer t1"])]);
    isExpired = true;
    const refused = await Promise.all(Array.from({ length: 10 }, () => catchApiError(one.request(GET))));
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["Unauthorized"]));
    await Promise.all(Array.from({ length: 10 }, () => one.request(GET)));
    expect([runCount(), tokens.at(-1)]).toEqual([2, "Bearer t2"]);
  });

  test.each(["hello", "", '{"kind": "ExecCredential"}'])("of a plugin that prints %j", async (text) => {
    const one = createClient({}, { exec: { apiVersion: "v1", command: "echo", args: [text] } });
    const error = await catchApiError(one.request(GET));
    expect(error.message).toBe(
      "GET /api/v1/pods: not sent: no credentials: the exec plugin printed no ExecCredential; check the user in the kubeconfig",
    );
  });

  test("of a plugin that hangs end with the call's time", async () => {
    const clock = new FakeClock();
    const one = createClient({ clock }, { exec: { apiVersion: "v1", command: "sleep", args: ["5"] } });
    const pending = catchApiError(one.request({ ...GET, timeoutMs: 1000 }));
    await clock.advance(1000);
    expect((await pending).code).toBe("Unavailable");
    expect(one.stats().requests).toBe(0);
  });
});

test("the server's time is that of its latest answer and the monotonic time since", async () => {
  const clock = new FakeClock();
  const one = createClient({ clock });
  expect(one.serverNowMs()).toBeUndefined();
  const serverMs = Date.UTC(2030, 0, 1);
  handler = (_request, response) => {
    response.setHeader("date", new Date(serverMs).toUTCString());
    response.end("{}");
  };
  await one.request(GET);
  clock.stepWall(-86_400_000);
  await clock.advance(5000);
  expect(one.serverNowMs()).toBe(serverMs + 5000);
});

test("every call is observed once, with its code and duration", async () => {
  const calls: KubeCall[] = [];
  const clock = new FakeClock();
  const observed = createClient({ clock, observe: (call) => calls.push(call) });
  handler = answerJson({});
  await observed.request(GET);
  handler = (_request, response) => {
    response.statusCode = 409;
    response.end();
  };
  await observed.request(PUT).catch(() => undefined);
  expect(calls).toEqual([
    { method: "GET", path: GET.path, code: "OK" },
    { method: "PUT", path: PUT.path, code: "Conflict" },
  ]);
});
