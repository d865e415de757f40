// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A real NATS server with JetStream, for tests and `npm run dev -- --scale`.

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { removeAtOurEnd, type Server, startServer, stopServer } from "./cluster/process.ts";
import { findFreePort } from "./free-port.ts";
import { getPaths, locateParts } from "./parts/parts.ts";

const PARTS = ["nats-server"] as const;
const START_MS = 30_000;

/** Reason for which there can be no server here; undefined when there can. */
export function findNatsObstacle(): string | undefined {
  return getPaths(locateParts(PARTS)).missing;
}

export interface NatsServerOptions {
  /** Lines of the configuration file besides port and JetStream. */
  config?: string;
  /** Default true. */
  hasJetStream?: boolean;
  /** Name of the server, unlike any other in its cluster. */
  name?: string;
}

/** A server that can be killed and started again with its data. */
export class NatsServer {
  readonly port: number;
  readonly dir: string;
  #server: Server | undefined;
  #starts = 0;

  private constructor(port: number, dir: string) {
    this.port = port;
    this.dir = dir;
  }

  static async start({ config = "", hasJetStream = true, name = "test" }: NatsServerOptions = {}): Promise<NatsServer> {
    const dir = mkdtempSync(join(tmpdir(), "pvo-nats-"));
    removeAtOurEnd(dir);
    const nats = new NatsServer(await findFreePort(), dir);
    const jetstream = hasJetStream ? `jetstream { store_dir: "${join(dir, "data")}", sync_interval: always }` : "";
    writeFileSync(
      join(dir, "nats.conf"),
      `listen: "127.0.0.1:${nats.port}"\nserver_name: "${name}"\n${jetstream}\n${config}\n`,
    );
    await nats.start();
    return nats;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const { "nats-server": file } = getPaths(locateParts(PARTS)).paths;
    if (file === undefined) throw new Error("no nats-server");
    this.#server = await startServer({
      file,
      args: ["-c", join(this.dir, "nats.conf")],
      logPath: join(this.dir, `log-${++this.#starts}`),
    });
    const server = this.#server;
    const endMs = Date.now() + START_MS;
    while (!server.lastLines(50).includes("Server is ready")) {
      if (server.hasExited() || Date.now() > endMs) throw new Error(`nats-server did not start: ${server.lastLines()}`);
      await sleep(50);
    }
  }

  /** Neither reads nor writes until it thaws; its connections stay, as when its network is cut. */
  freeze(): void {
    this.#server?.signal("SIGSTOP");
  }

  thaw(): void {
    this.#server?.signal("SIGCONT");
  }

  /** As kill -9. */
  async kill(): Promise<void> {
    if (this.#server) await stopServer(this.#server, 0);
    this.#server = undefined;
  }

  async stop(): Promise<void> {
    await this.kill();
  }
}
