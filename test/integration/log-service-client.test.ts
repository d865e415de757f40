// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Ends of an alert stream, against HTTP/2 servers that end it in every way there is.

import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { afterEach, describe, expect, it } from "vitest";
import { createAlertStream } from "../../src/alerts/alert-stream.ts";
import type { StreamEnd } from "../../src/alerts/reconnecting-source.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { SIGNAL } from "../support/signal.ts";
import { run, startTcpServer } from "./alerts-bed.ts";

const PATIENCE = { timeout: 30_000 };
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

type Answer = (stream: ServerHttp2Stream, session: ServerHttp2Session) => void;

const GRPC = { ":status": 200, "content-type": "application/grpc" };

/** Puts the prefix of a gRPC message in front of it. */
function addFrame(text: string, flag = 0): Buffer {
  const out = Buffer.alloc(5 + Buffer.byteLength(text));
  out[0] = flag;
  out.writeUInt32BE(out.length - 5, 1);
  out.write(text, 5);
  return out;
}

/** Starts a server that answers WatchAlerts so; HealthCheck gets the same answer where `health` is absent. */
async function startServer(answer: Answer, health: Answer = healthy): Promise<string> {
  const started: Http2Server = createServer();
  started.on("session", (session) => {
    closers.push(() => session.destroy());
    session.on("error", () => undefined);
    session.on("stream", (stream: ServerHttp2Stream, headers) => {
      stream.on("error", () => undefined);
      (headers[":path"] === "/feeder.LogService/WatchAlerts" ? answer : health)(stream, session);
    });
  });
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
  closers.push(() => started.close());
  const at = started.address();
  if (at === null || typeof at === "string") throw new Error("no port");
  return `127.0.0.1:${at.port}`;
}

/** Answers with messages and these trailers; null for none. */
function withTrailers(messages: readonly string[], trailers: Record<string, string> | null): Answer {
  return (stream) => {
    stream.respond(GRPC, { waitForTrailers: true });
    stream.on("wantTrailers", () => (trailers === null ? stream.close() : stream.sendTrailers(trailers)));
    stream.end(Buffer.concat(messages.map((text) => addFrame(text))));
  };
}

const healthy = withTrailers([""], { "grpc-status": "0" });
const ignoreCall: Answer = () => undefined;

/** Opens one stream; resolves at its end, with its messages. */
async function open(address: string): Promise<{ end: StreamEnd; messages: string[] }> {
  const messages: string[] = [];
  const listener = { onMessage: (bytes: Buffer) => void messages.push(bytes.toString()), onAlive() {} };
  const stream = createAlertStream({ address, maxMessageBytes: 1000 }, systemClock);
  return { end: await stream(listener, SIGNAL), messages };
}

describe("a stream", () => {
  const ENCODED = { "grpc-status": "13", "grpc-message": "100%25 %C3%A4" };
  const BROKEN = { "grpc-status": "2", "grpc-message": "100% broken" };
  const NO_METHOD = { ...GRPC, "grpc-status": "12", "grpc-message": "no method" };
  const respond =
    (headers: Record<string, string | number>): Answer =>
    (stream) =>
      stream.respond(headers, { endStream: true });
  const sendCompressed: Answer = (stream) => {
    stream.respond(GRPC);
    stream.write(addFrame("a", 1));
  };
  const breakConnection: Answer = (stream, session) => {
    stream.respond(GRPC);
    stream.write(addFrame("a"), () => session.socket.destroy());
  };

  it("ends with OK, which is not an error", async () => {
    const { end, messages } = await open(await startServer(withTrailers(["a", "", "b"], { "grpc-status": "0" })));
    expect(end).toEqual({ kind: "ok_end", message: "the peer ended the stream with status OK" });
    expect(messages).toEqual(["a", "", "b"]);
  });

  it.each<[string, Answer, string, string[]?]>([
    ["an error with a percent-encoded text", withTrailers(["a"], ENCODED), "13 INTERNAL: 100% ä", ["a"]],
    ["an error whose text is not encoded well", withTrailers([], BROKEN), "2 UNKNOWN: 100% broken"],
    ["an unknown code", withTrailers([], { "grpc-status": "99" }), "2 UNKNOWN: "],
    ["an invalid code", withTrailers([], { "grpc-status": "much" }), "2 UNKNOWN: "],
    ["no status", withTrailers(["a"], null), "14 UNAVAILABLE: the peer closed the stream without a status", ["a"]],
    [
      "headers alone",
      respond(NO_METHOD),
      "12 UNIMPLEMENTED: no method (is this the address of KubeArmor or its relay?)",
    ],
    ["a gateway's answer", respond({ ":status": 503 }), "14 UNAVAILABLE: Received HTTP status code 503"],
    ["a refused stream", (stream) => stream.close(7), "14 UNAVAILABLE: Stream refused by server"],
    ["a reset for too much", (stream) => stream.close(11), "8 RESOURCE_EXHAUSTED: Bandwidth exhausted"],
    ["a reset for a fault", (stream) => stream.close(2), "13 INTERNAL: Received RST_STREAM with code 2"],
    ["an unannounced compressed message", sendCompressed, "2 UNKNOWN: a message can't be decompressed"],
    ["a connection that breaks", breakConnection, "14 UNAVAILABLE: ", ["a"]],
  ])("ends with %s, which is an error", async (_, answer, expected, expectedMessages = []) => {
    const { end, messages } = await open(await startServer(answer));
    expect(end.message).toContain(expected);
    expect(end.kind).toBe("error");
    expect(messages).toEqual(expectedMessages);
  });

  it("ends at a message that is too long, and hands over those before it", async () => {
    const { end, messages } = await open(
      await startServer((stream) => {
        stream.respond(GRPC);
        stream.write(addFrame("a"), () => setTimeout(() => stream.end(addFrame("b".repeat(1001))), 50));
      }),
    );
    expect(end).toEqual({
      kind: "message_too_large",
      message: "8 RESOURCE_EXHAUSTED: Received message larger than max (1001 vs 1000)",
    });
    expect(messages).toEqual(["a"]);
  });
});

describe("a web server", () => {
  const page =
    (status: number): Answer =>
    (stream) => {
      stream.respond({ ":status": status, "content-type": "text/html" });
      stream.write("<html>welcome</html>");
    };

  it.each([200, 404, 503])("that answers %i with a page is an error and never a connected stream", async (status) => {
    const { listener, until } = run({ address: await startServer(page(status), page(status)) });
    await until(() => listener.count("disconnected") >= 2);
    expect(new Set(listener.received.map(({ kind }) => kind))).toEqual(new Set(["disconnected"]));
    expect(listener.disconnects[0]).toMatchObject({
      reason: "connect_failed",
      message:
        "2 UNKNOWN: the answer is not gRPC (content-type text/html) (is this the address of KubeArmor or its relay?)",
    });
  });

  it("that answers HealthCheck alone with 404 is not healthy", async () => {
    const { listener, until } = run({
      address: await startServer(ignoreCall, (stream) => stream.respond({ ":status": 404 }, { endStream: true })),
    });
    await until(() => listener.count("disconnected") >= 1);
    expect(listener.count("connected")).toBe(0);
    expect(listener.disconnects[0]?.message).toBe("HealthCheck failed: 2 UNKNOWN: Received HTTP status code 404");
  });
});

describe("a GOAWAY", () => {
  it.each([
    ["", 0, /^14 UNAVAILABLE: the peer is closing the connection \(GOAWAY\)/],
    [" for too many pings", 11, /^(?:8 RESOURCE_EXHAUSTED|14 UNAVAILABLE): /],
  ])("%s leads to a reconnect, without an alarm of the watchdog", async (_, code, message) => {
    let streams = 0;
    const address = await startServer((stream, session) => {
      stream.respond(GRPC);
      stream.write(addFrame("a"), () => {
        streams += 1;
        if (streams === 1) session.goaway(code, 0, Buffer.from("too_many_pings"));
      });
    });
    const { listener, until } = run({ address, healthIntervalMs: 10 });
    await until(() => listener.count("connected") === 2);
    expect(listener.disconnects.map(({ reason }) => reason)).toEqual(["error"]);
    expect(listener.disconnects[0]?.message).toMatch(message);
  });

  it("lets alerts in flight arrive first", async () => {
    let streams = 0;
    const address = await startServer((stream, session) => {
      stream.respond(GRPC, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      streams += 1;
      if (streams > 1) return;
      session.goaway(0);
      setTimeout(() => stream.end(addFrame("a")), 50);
    });
    const { end, messages } = await open(address);
    expect(messages).toEqual(["a"]);
    expect(end.kind).toBe("ok_end");
  });
});

it("leaves no socket after the abort of any stream", async () => {
  const peers = [
    await startTcpServer((socket) => socket.resume()),
    // SETTINGS and nothing more.
    await startTcpServer((socket) => socket.resume().write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]))),
  ];
  for (const { address, sockets } of peers) {
    const stop = new AbortController();
    const stream = createAlertStream({ address }, systemClock);
    const ended = stream({ onMessage() {}, onAlive() {} }, stop.signal);
    await expect.poll(() => sockets.size, PATIENCE).toBe(1);
    stop.abort();
    expect((await ended).message).toBe("stopped");
    await expect.poll(() => sockets.size, PATIENCE).toBe(0);
  }
});
