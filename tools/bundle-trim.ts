// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Leaves out of the bundle what its packages have and this program does not call. They load everything from one index,
// with side effects that a bundler must keep; each narrower entry here exports what is called, unchanged.
// Invariant: nothing of a package is changed, only left out; a call of what is left out throws and says so.

import { join } from "node:path";
import type { Plugin } from "esbuild";

interface Narrower {
  /** Imported modules. */
  readonly path: string;
  /** The end of the importing file's path; default: any. */
  readonly importer?: string;
  /** The module in its place, with imports from `node_modules`. */
  readonly contents: string;
}

function throwWhenCalled(what: string, ...names: string[]): string {
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
    contents: throwWhenCalled("generated Kubernetes client", "createConfiguration", "ServerConfiguration"),
  },
  // The gRPC server, proxies of load balancers, and channelz; its index also registers resolvers and load balancers.
  {
    path: "@grpc/grpc-js",
    contents: `
      // First, as in the index: the modules import each other in a circle.
      import "./@grpc/grpc-js/build/src/channel.js";
      export { Client } from "./@grpc/grpc-js/build/src/client.js";
      export { ConnectivityState as connectivityState } from "./@grpc/grpc-js/build/src/connectivity-state.js";
      export { Status as status } from "./@grpc/grpc-js/build/src/constants.js";
      export { ChannelCredentials, ChannelCredentials as credentials } from "./@grpc/grpc-js/build/src/channel-credentials.js";
      import * as resolver from "./@grpc/grpc-js/build/src/resolver-dns.js";
      import * as balancer from "./@grpc/grpc-js/build/src/load-balancer-pick-first.js";
      resolver.setup();
      balancer.setup();`,
  },
  // Reads .proto files, for channelz and load reports.
  { path: "@grpc/proto-loader", contents: throwWhenCalled("reader of .proto files", "loadSync") },
  // A second YAML parser.
  { path: "js-yaml", importer: "/client-node/dist/config.js", contents: 'export { parse as load } from "yaml";' },
  // SOCKS proxies are refused when the kubeconfig is read.
  { path: "socks", importer: "/client-node/dist/config.js", contents: "export const SocksClient = undefined;" },
  {
    path: "socks-proxy-agent",
    importer: "/client-node/dist/config.js",
    contents: throwWhenCalled("SOCKS client", "SocksProxyAgent"),
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
  // HTTP/2, which no dispatcher here offers; Node's own part of it is 10 ms of every start.
  {
    path: "./client-h2.js",
    importer: "/undici/lib/dispatcher/client.js",
    contents: throwWhenCalled("HTTP/2 client of undici", "connectH2").concat("\nexport default connectH2;"),
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
