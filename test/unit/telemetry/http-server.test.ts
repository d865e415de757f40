// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Against the real server on a free port of the loopback, by fetch and by bare sockets.

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../../src/lib/clock.ts";
import { type Logger, silentLogger } from "../../../src/lib/logger.ts";
import { createHealthPages, type Health } from "../../../src/telemetry/health.ts";
import {
  type HttpServer,
  type HttpServerOptions,
  ListenError,
  startHttpServer,
} from "../../../src/telemetry/http-server.ts";
import { createMetricsPage } from "../../../src/telemetry/metrics-page.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const GOOD: Health = { ok: true, checks: { stream: { ok: true } } };
/** Where Node's parser keeps its callback for a part of a body (node_http_parser.cc: kOnBody). */
const ON_BODY = 3;
const METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8";

const open: HttpServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

interface Pages {
  ready?: () => Health;
  healthy?: () => Health;
  render?: () => Promise<string>;
}

async function start(options: Partial<HttpServerOptions> & Pages = {}) {
  const { ready = () => GOOD, healthy = () => GOOD, render = async () => "a 1\n", ...rest } = options;
  const server = await startHttpServer({
    address: "127.0.0.1:0",
    section: "metrics",
    pages: {
      "/metrics": createMetricsPage({ contentType: METRICS_TEXT, render }, systemClock),
      ...createHealthPages(healthy, ready),
    },
    clock: systemClock,
    log: silentLogger,
    ...rest,
  });
  open.push(server);
  return { server, url: `http://127.0.0.1:${server.port}` };
}

/** Sends raw bytes and resolves with all that came back once the server has closed the connection. */
async function sendRaw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(bytes);
  return await text(socket);
}

test("/metrics gives what the metrics give", async () => {
  const { url } = await start();
  const response = await fetch(`${url}/metrics?x=1`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await response.text()).toBe("a 1\n");
});

test("a probe answers 200 or 503 with one line a check", async () => {
  const checks = { reports: { ok: true, detail: "12 listed" }, stream: { ok: true }, leader: { ok: true } };
  const { url } = await start({
    healthy: () => ({ ok: true, checks }),
    ready: () => ({
      ok: false,
      checks: { ...checks, stream: { ok: false, detail: "no connection yet" }, leader: { ok: false } },
    }),
  });
  const healthy = await fetch(`${url}/healthz`);
  expect(healthy.status).toBe(200);
  expect(await healthy.text()).toBe("[+]reports ok: 12 listed\n[+]stream ok\n[+]leader ok\nhealthz check passed\n");
  const ready = await fetch(`${url}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.text()).toBe(
    "[+]reports ok: 12 listed\n[-]stream: no connection yet\n[-]leader: failed\nreadyz check failed\n",
  );
});

test("other paths are 404, other methods 405, HEAD has no body", async () => {
  const { url } = await start();
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/metrics/../etc`)).status).toBe(404);
  const post = await fetch(`${url}/metrics`, { method: "POST", body: "x".repeat(100_000) });
  expect(post.status).toBe(405);
  expect(post.headers.get("allow")).toBe("GET, HEAD");
  const head = await fetch(`${url}/metrics`, { method: "HEAD" });
  expect(head.status).toBe(200);
  expect(head.headers.get("content-length")).toBe("4");
  expect(head.headers.get("connection")).toBe("close");
  expect(await head.text()).toBe("");
});

test("a failing source is a 500 without details, which are logged", async () => {
  const logged: object[] = [];
  const log: Logger = { ...silentLogger, error: (fields) => void logged.push(fields) };
  const failure = new Error("secret detail");
  const { url } = await start({ log, render: () => Promise.reject(failure) });
  const response = await fetch(`${url}/metrics`);
  expect(response.status).toBe(500);
  expect(await response.text()).toBe("failed; see the log for the reason\n");
  expect(logged).toEqual([{ err: failure, path: "/metrics" }]);
});

test("a probe that throws is a 500 too", async () => {
  const { url } = await start({
    ready: () => {
      throw new Error("bug");
    },
  });
  expect((await fetch(`${url}/readyz`)).status).toBe(500);
});

test("a client that never finishes its request is answered 408 and cut off", async () => {
  const { server } = await start({ requestTimeoutMs: 100 });
  expect(await sendRaw(server.port, "GET /metrics HTTP/1.1\r\nHost: x\r\n")).toMatch(/^HTTP\/1\.1 408 /);
  expect(await sendRaw(server.port, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")).toMatch(
    /^HTTP\/1\.1 405 /,
  );
});

test("what is not HTTP is answered 400, oversized headers 431", async () => {
  const { server } = await start();
  expect(await sendRaw(server.port, "\x16\x03\x01 hello\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
  const headers = `X: ${"x".repeat(9000)}`;
  expect(await sendRaw(server.port, `GET / HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
});

test("a port in use names the address, the setting and the way out", async () => {
  const { server } = await start();
  const address = `127.0.0.1:${server.port}`;
  const error = await start({ address }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ListenError);
  expect((error as Error).message).toBe(
    `cannot listen on ${address} (metrics.address): the port is in use; ` +
      "choose another with --metrics-address or PVO_METRICS_ADDRESS",
  );
});

test("an address that is not ours is refused", async () => {
  // TEST-NET-1: reserved for documentation, on no machine.
  await expect(start({ address: "192.0.2.1:0" })).rejects.toThrow("this machine does not have that address");
});

test("an address without a host listens on all, IPv6 goes in brackets", async () => {
  const all = await start({ address: ":0" });
  expect((await fetch(`http://127.0.0.1:${all.server.port}/healthz`)).status).toBe(200);
  const six = await start({ address: "[::1]:0" }).catch((error: unknown) => error as ListenError);
  // A machine without IPv6 says so; anything else would be our mistake.
  if (six instanceof Error) expect(six.message).toContain("this machine does not have that address");
  else expect((await fetch(`http://[::1]:${six.server.port}/healthz`)).status).toBe(200);
});

test("close ends open connections, frees the port and may be called twice", async () => {
  const { server } = await start();
  const held = connect(server.port, "127.0.0.1");
  await once(held, "connect");
  const ended = once(held, "close");
  await fetch(`http://127.0.0.1:${server.port}/healthz`);
  await server.close();
  await server.close();
  await ended;
  await expect(fetch(`http://127.0.0.1:${server.port}/healthz`)).rejects.toThrow();
});

test("of pipelined requests the first is answered and the connection closed", async () => {
  let renders = 0;
  const { server } = await start({ render: async () => `renders ${++renders}\n` });
  const got = await sendRaw(server.port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000));
  expect(got).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nConnection: close\r\n/);
  expect(got.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
  expect(renders).toBe(1);
});

test("of requests that arrive with the first one none is parsed", async () => {
  const { server } = await start();
  let parsed = 0;
  const count = () => parsed++;
  subscribe("http.server.request.start", count);
  const flood = ["GET /healthz HTTP/1.1", "POST /healthz HTTP/1.1", "GET /nothing HTTP/1.1"].map((line) =>
    sendRaw(server.port, `${line}\r\nHost: x\r\n\r\n`.repeat(1000)),
  );
  const answers = await Promise.all(flood);
  unsubscribe("http.server.request.start", count);
  expect(answers.map((text) => text.match(/HTTP\/1\.1 \d+/g))).toEqual([
    ["HTTP/1.1 200"],
    ["HTTP/1.1 405"],
    ["HTTP/1.1 404"],
  ]);
  expect(parsed).toBe(3);
});

test("of a body no part is parsed", async () => {
  const { server } = await start();
  let parts = 0;
  const count = (message: unknown) => {
    const { parser } = (message as { socket: { parser: Record<number, () => void> } }).socket;
    parser[ON_BODY] = () => parts++;
  };
  subscribe("http.server.request.start", count);
  const head = "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const answer = await sendRaw(server.port, `${head}${"1\r\na\r\n".repeat(1000)}0\r\n\r\n`);
  unsubscribe("http.server.request.start", count);
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(parts).toBe(0);
});

test("a connection with a client that reads nothing is closed in the end", async () => {
  const clock = new FakeClock();
  const { server } = await start({ clock, render: async () => "x".repeat(8_000_000) });
  const socket = connect(server.port, "127.0.0.1", () => socket.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
  socket.pause();
  socket.on("error", () => {});
  while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(30_000);
  expect(clock.pending).toBe(0);
  const closed = once(socket, "close");
  socket.resume();
  await closed;
  expect(socket.bytesRead).toBeLessThan(8_000_000);
});

test("scrapes share a render for 200 ms, and a failed one is not kept", async () => {
  const clock = new FakeClock();
  let renders = 0;
  let fails = false;
  const page = createMetricsPage(
    {
      contentType: METRICS_TEXT,
      render: async () => {
        renders++;
        if (fails) throw new Error("bug");
        return `renders ${renders}\n`;
      },
    },
    clock,
  );
  const pages = await Promise.all([page(), page(), page()]);
  await page();
  expect(renders).toBe(1);
  expect(new Set(pages.map(({ body }) => body)).size).toBe(1);
  await clock.advance(200);
  fails = true;
  await expect(page()).rejects.toThrow("bug");
  await expect(page()).rejects.toThrow("bug");
  expect(renders).toBe(3);
  fails = false;
  expect(`${(await page()).body}`).toBe("renders 4\n");
});

test("a flood of pipelined scrapes fails no probe and costs one render", async () => {
  // Never advanced: all scrapes fall into the 200 ms of one render.
  const clock = new FakeClock();
  let renders = 0;
  const text = `${'policy_violation_occurrences_total{policy="p"} 1\n'.repeat(20_000)}`;
  const render = async () => {
    renders++;
    return text;
  };
  const pages = { "/metrics": createMetricsPage({ contentType: METRICS_TEXT, render }, clock) };
  const metrics = await start({ pages });
  const probes = await start({ section: "health" });
  const attackers = new Set<ReturnType<typeof connect>>();
  let attempts = 0;
  const attack = () => {
    if (++attempts > 400) return;
    const socket = connect({ port: metrics.server.port, host: "127.0.0.1" }, () => {
      socket.pause();
      socket.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(400));
    });
    attackers.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      attackers.delete(socket);
      attack();
    });
  };
  for (let n = 0; n < 40; n++) attack();
  const answers: number[] = [];
  for (let n = 0; n < 20; n++) answers.push((await fetch(`${probes.url}/healthz`)).status);
  const most = attackers.size;
  for (const socket of attackers) socket.destroy();
  expect(answers).toEqual(Array.from({ length: 20 }, () => 200));
  expect(most).toBeLessThanOrEqual(40);
  expect(renders).toBe(1);
});

test("connections held by one client end for those of others, and for its own newer ones", async () => {
  const { server, url } = await start();
  const hold = (localAddress: string) => {
    const socket = connect({ port: server.port, host: "127.0.0.1", localAddress });
    socket.on("error", () => {});
    return socket;
  };
  const early = hold("127.0.0.3");
  await once(early, "connect");
  const held = Array.from({ length: 300 }, () => hold("127.0.0.2"));
  let ended = 0;
  for (const socket of held) socket.on("close", () => ended++);
  await Promise.all(held.slice(-1).map((socket) => once(socket, "connect")));
  // From the address of none, of the quiet client, and of the one that holds them.
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const probe = connect({ port: server.port, host: "127.0.0.1", localAddress: "127.0.0.2" }, () =>
    probe.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
  );
  expect(`${(await once(probe, "data"))[0]}`).toMatch(/^HTTP\/1\.1 200 /);
  early.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(`${(await once(early, "data"))[0]}`).toMatch(/^HTTP\/1\.1 200 /);
  expect(ended).toBeGreaterThanOrEqual(300 - 32);
  for (const socket of held) socket.destroy();
});
