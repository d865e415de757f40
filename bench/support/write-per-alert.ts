// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Comparison for the operator: the straightforward way, which reads, changes and writes a report for each alert.

import { Client, credentials } from "@grpc/grpc-js";
import type { Report } from "../../src/api/v1alpha1.ts";
import type { WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import { decodeAlert } from "../../tools/kubearmor-node/wire.ts";
import type { KubeApi } from "./kube-api.ts";
import { reportOf, reportsPath } from "./objects.ts";

const raw = (bytes: Buffer) => bytes;

export class WritePerAlert {
  readonly #api: KubeApi;
  readonly #client: Client;
  readonly #call: ReturnType<Client["makeServerStreamRequest"]>;
  #work = Promise.resolve();
  /** Alerts that are in a report. */
  written = 0;

  constructor(address: string, api: KubeApi) {
    this.#api = api;
    this.#client = new Client(address, credentials.createInsecure());
    const filter = Buffer.from("\x0a\x06policy", "latin1");
    this.#call = this.#client.makeServerStreamRequest("/feeder.LogService/WatchAlerts", raw, raw, filter);
    this.#call.on("data", (bytes: Buffer) => {
      const alert = decodeAlert(bytes);
      this.#work = this.#work.then(() => this.#write(alert));
    });
    // The end of the stream is our own doing.
    this.#call.on("error", () => undefined);
  }

  /** Ends the stream; resolves, or rejects with the first failure, when no request is open. */
  async stop(): Promise<void> {
    this.#call.cancel();
    this.#client.close();
    await this.#work;
  }

  async #write({ NamespaceName: namespace = "", PolicyName: name = "" }: WireAlert): Promise<void> {
    const path = reportsPath(namespace);
    const { status, text } = await this.#api.send("GET", `${path}/${name}`);
    if (status === 404) await this.#api.call("POST", path, reportOf(namespace, name, 1));
    else {
      const report = JSON.parse(text) as Report;
      const { summary } = report;
      report.summary = { ...summary, occurrences: summary.occurrences + 1, prevented: summary.prevented + 1 };
      await this.#api.call("PUT", `${path}/${name}`, report);
    }
    this.written++;
  }
}
