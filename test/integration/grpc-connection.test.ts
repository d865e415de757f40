// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What a call's end says, against HTTP/2 servers that end it in every way there is.

import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { afterEach, expect, it } from "vitest";
import { GrpcConnection } from "../../src/alerts/grpc-connection.ts";
import { framed } from "../../src/alerts/grpc-messages.ts";
import { type GrpcStatus, statusText } from "../../src/alerts/grpc-status.ts";
import { tcpServer } from "./feed-bed.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

type Answer = (stream: ServerHttp2Stream, session: ServerHttp2Session) => void;

/** Starts a server that does so with every call; returns its address. */
async function server(answer: Answer): Promise<string> {
  const started: Http2Server = createServer();
  started.on("session", (session) => {
    closers.push(() => session.destroy());
    session.on("error", () => undefined);
    session.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => undefined);
      answer(stream, session);
    });
  });
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
  closers.push(() => started.close());
  const at = started.address();
  if (at === null || typeof at === "string") throw new Error("no port");
  return `127.0.0.1:${at.port}`;
}

function connection(address: string): GrpcConnection {
  const made = new GrpcConnection({ address, maxMessageBytes: 1000 });
  closers.push(() => made.cut());
  return made;
}

/** Makes one call; resolves at its end, with its messages. */
function call(to: GrpcConnection): Promise<{ status: GrpcStatus; messages: string[] }> {
  const messages: string[] = [];
  return new Promise((resolve) => {
    to.call("/a.Service/Method", Buffer.from("question"), {
      onMessage: (bytes) => messages.push(bytes.toString()),
      onEnd: (status) => resolve({ status, messages }),
    });
  });
}

const GRPC = { ":status": 200, "content-type": "application/grpc" };

/** Answers with messages and these trailers; null for none. */
function withTrailers(messages: readonly string[], trailers: Record<string, string> | null): Answer {
  return (stream) => {
    stream.respond(GRPC, { waitForTrailers: true });
    stream.on("wantTrailers", () => (trailers === null ? stream.close() : stream.sendTrailers(trailers)));
    stream.end(Buffer.concat(messages.map((text) => framed(Buffer.from(text)))));
  };
}

it.each<[string, Answer, string, string[]?]>([
  ["OK", withTrailers(["a", "", "b"], { "grpc-status": "0" }), "0 OK: ", ["a", "", "b"]],
  [
    "an error with a percent-encoded text",
    withTrailers(["a"], { "grpc-status": "13", "grpc-message": "100%25 %C3%A4" }),
    "13 INTERNAL: 100% ä",
    ["a"],
  ],
  [
    "an error whose text is not encoded well",
    withTrailers([], { "grpc-status": "2", "grpc-message": "100% broken" }),
    "2 UNKNOWN: 100% broken",
  ],
  ["a code that there is not", withTrailers([], { "grpc-status": "99" }), "99 no known code: "],
  ["a code that is none", withTrailers([], { "grpc-status": "much" }), "2 UNKNOWN: "],
  ["no status", withTrailers(["a"], null), "13 INTERNAL: Call ended without gRPC status", ["a"]],
  [
    "headers alone",
    (stream) =>
      stream.respond({ ...GRPC, "grpc-status": "12", "grpc-message": "no method" }, { endStream: true }),
    "12 UNIMPLEMENTED: no method",
  ],
  [
    "a web server's page",
    (stream) => {
      stream.respond({ ":status": 404, "content-type": "text/html" });
      stream.end("<html>not found</html>");
    },
    "12 UNIMPLEMENTED: Received HTTP status code 404",
  ],
  [
    "a gateway's answer",
    (stream) => stream.respond({ ":status": 503 }, { endStream: true }),
    "14 UNAVAILABLE: Received HTTP status code 503",
  ],
  ["a refused stream", (stream) => stream.close(7), "14 UNAVAILABLE: Stream refused by server"],
  ["a reset for too much", (stream) => stream.close(11), "8 RESOURCE_EXHAUSTED: Bandwidth exhausted"],
  ["a reset for a fault", (stream) => stream.close(2), "13 INTERNAL: Received RST_STREAM with code 2"],
  [
    "a message that is too long",
    withTrailers(["a", "b".repeat(1001), "c"], { "grpc-status": "0" }),
    "8 RESOURCE_EXHAUSTED: Received message larger than max (1001 vs 1000)",
    ["a"],
  ],
  [
    "a compressed message",
    (stream) => {
      stream.respond(GRPC);
      const bytes = framed(Buffer.from("a"));
      bytes[0] = 1;
      stream.write(bytes);
    },
    "13 INTERNAL: Received a compressed message, which was not asked for",
  ],
  [
    "a connection that breaks",
    (stream, session) => {
      stream.respond(GRPC);
      stream.write(framed(Buffer.from("a")), () => session.socket.destroy());
    },
    "14 UNAVAILABLE: ",
    ["a"],
  ],
  [
    "a peer that goes away for our pings",
    (_, session) => session.goaway(11, 0, Buffer.from("too_many_pings")),
    "14 UNAVAILABLE: Session closed with error code 11",
  ],
])("ends with %s", async (_, answer, expected, expectedMessages = []) => {
  const { status, messages } = await call(connection(await server(answer)));
  expect(statusText(status).slice(0, expected.length)).toBe(expected);
  expect(messages).toEqual(expectedMessages);
  expect(status.isTooLarge).toBe(expected.includes("larger") ? true : undefined);
});

it("ends every call on a connection that breaks, and every call after that", async () => {
  const open: ServerHttp2Session[] = [];
  const to = connection(
    await server((stream, session) => {
      stream.respond(GRPC);
      if (open.push(session) === 2) session.socket.destroy();
    }),
  );
  const before = await Promise.all([call(to), call(to)]);
  const after = await call(to);
  expect([...before, after].map(({ status }) => status.code)).toEqual([14, 14, 14]);
});

it("tells a call that the peer would take no more of, while the others go on", async () => {
  const streams: ServerHttp2Stream[] = [];
  const to = connection(
    await server((stream, session) => {
      stream.respond(GRPC, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      if (streams.push(stream) === 1) stream.write(framed(Buffer.from("a")), () => session.goaway(0));
      else stream.end();
    }),
  );
  const first = call(to);
  await expect.poll(async () => (await call(to)).status.code, { timeout: 30_000 }).toBe(14);
  streams[0]?.end();
  expect(await first).toEqual({ status: { code: 0, details: "" }, messages: ["a"] });
});

it("tells nothing of a call after its cancelling, and leaves no connection after the cut", async () => {
  const address = await server(withTrailers(["a", "b"], { "grpc-status": "0" }));
  const to = connection(address);
  const told: string[] = [];
  await new Promise<void>((resolve) => {
    const cancelled = to.call("/a.Service/Method", Buffer.alloc(0), {
      onMessage(bytes) {
        told.push(bytes.toString());
        cancelled.cancel();
        void call(to).then(() => resolve());
      },
      onEnd: () => told.push("end"),
    });
  });
  expect(told).toEqual(["a"]);

  const peer = await tcpServer((socket) => socket.resume());
  const silent = connection(peer.address);
  let isTold = false;
  void call(silent).then(() => {
    isTold = true;
  });
  await expect.poll(() => peer.sockets.size).toBe(1);
  silent.cut();
  await expect.poll(() => peer.sockets.size, { timeout: 30_000 }).toBe(0);
  expect(isTold).toBe(false);
});
