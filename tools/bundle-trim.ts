// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What the bundle leaves out of the packages that it is made of. These load all they have from one index, with effects
// that a bundler must keep; each of the narrower entries here gives what this program calls, unchanged.
// Invariant: nothing of a package is changed, only left out; what is left out and called all the same throws and says so.

import { join } from "node:path";
import type { Plugin } from "esbuild";

interface Narrower {
  /** What is imported. */
  readonly path: string;
  /** The end of the importing file's path; default: any. */
  readonly importer?: string;
  /** The module in its place, with imports from `node_modules`. */
  readonly contents: string;
}

function absent(what: string, ...names: string[]): string {
  return names
    .map((name) => `export function ${name}() { throw new Error("the bundle holds no ${what}"); }`)
    .join("\n");
}

const NARROWER: readonly Narrower[] = [
  // The models and clients of every Kubernetes kind; only the kubeconfig and its ways to authenticate are used.
  {
    path: "@kubernetes/client-node",
    contents: 'export { KubeConfig } from "./@kubernetes/client-node/dist/config.js";',
  },
  {
    path: "./gen/index.js",
    importer: "/client-node/dist/config.js",
    contents: absent("generated Kubernetes client", "createConfiguration", "ServerConfiguration"),
  },
  // A second YAML parser.
  {
    path: "js-yaml",
    importer: "/client-node/dist/config.js",
    contents: 'export { parse as load } from "yaml";',
  },
  // SOCKS proxies are refused when the kubeconfig is read.
  {
    path: "socks",
    importer: "/client-node/dist/config.js",
    contents: "export const SocksClient = undefined;",
  },
  {
    path: "socks-proxy-agent",
    importer: "/client-node/dist/config.js",
    contents: absent("SOCKS client", "SocksProxyAgent"),
  },
  // fetch, WebSocket, caches, cookies, mocks and recordings. The index also gives each dispatcher its methods.
  {
    path: "undici",
    contents: `
      import Dispatcher from "./undici/lib/dispatcher/dispatcher.js";
      import methods from "./undici/lib/api/index.js";
      Object.assign(Dispatcher.prototype, methods);
      export { default as Agent } from "./undici/lib/dispatcher/agent.js";
      export { default as ProxyAgent } from "./undici/lib/dispatcher/proxy-agent.js";`,
  },
  // HTTP/2, which no dispatcher here is told to offer; Node's own part of it is 10 ms of every start.
  {
    path: "./client-h2.js",
    importer: "/undici/lib/dispatcher/client.js",
    contents: absent("HTTP/2 client of undici", "connectH2").concat("\nexport default connectH2;"),
  },
  {
    path: "./socks5-proxy-agent",
    importer: "/undici/lib/dispatcher/proxy-agent.js",
    contents: "export default class {}",
  },
];

/** An esbuild plugin that resolves imports to the narrower entries; `root` is the checkout. */
export function trim(root: string): Plugin {
  return {
    name: "trim",
    setup({ onResolve, onLoad }) {
      for (const [index, { path, importer = "" }] of NARROWER.entries()) {
        const exact = new RegExp(`^${path.replaceAll(".", "\\.")}$`);
        onResolve({ filter: exact }, (args) =>
          args.namespace === "file" && args.importer.endsWith(importer)
            ? { path: `${index}:${path}`, namespace: "trim", sideEffects: true }
            : undefined,
        );
      }
      onLoad({ filter: /.*/, namespace: "trim" }, ({ path }) => ({
        contents: NARROWER[Number.parseInt(path, 10)]?.contents ?? "",
        loader: "js",
        resolveDir: join(root, "node_modules"),
      }));
    },
  };
}
