// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A host for the plugin: Headlamp's own store, router, theme and components, and a server that answers like Headlamp's.

import "fake-indexeddb/auto";
import "../src/index.tsx";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { darkTheme } from "@kinvolk/headlamp-plugin/lib/components/App/defaultAppThemes";
import { setStore } from "@kinvolk/headlamp-plugin/lib/lib/router/createRouteURL";
import { createMuiTheme } from "@kinvolk/headlamp-plugin/lib/lib/themes";
import store from "@kinvolk/headlamp-plugin/lib/redux/stores/store";
import { ThemeProvider } from "@mui/material";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, configure, render } from "@testing-library/react";
import type { ComponentType, ReactNode } from "react";
import { Provider } from "react-redux";
import { MemoryRouter, Route } from "react-router-dom";
import { afterEach, vi } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";

declare const jsdom: { reconfigure(settings: { url: string }): void };

const CLUSTER = "main";
const GROUP = "/apis/reports.kubearmor.com/v1alpha1";
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/kubearmor/leases/policy-violation-operator";

/** Objects of the cluster, and the status of requests that fail, by path. */
export interface ClusterState {
  reports: readonly Report[];
  /** Age of the operator's Lease in milliseconds; undefined without a Lease. */
  leaseAgeMs?: number;
  failures?: Readonly<Record<string, number>>;
}

// In development Headlamp asks a port of its own, else the page's address.
vi.stubEnv("DEV", false);
configure({ asyncUtilTimeout: 30_000 });

const servers: Server[] = [];
afterEach(() => {
  cleanup();
  for (const server of servers.splice(0)) server.close();
});

/** Shows the page of the plugin that the path names. */
export async function openPage(path: string, state: ClusterState): Promise<void> {
  await serve(path, state);
  const routes = Object.values(store.getState().routes.routes);
  renderInHost(
    path,
    routes.map(({ path: at, component: Page }) => (
      <Route key={at} path={`/c/:cluster${at}`} exact>
        <Page />
      </Route>
    )),
  );
}

/** Shows the sections that the plugin adds to the page of a resource. */
export async function openResource(resource: object, state: ClusterState): Promise<void> {
  await serve("/resource", state);
  const sections = store.getState().detailsViewSection.detailsViewSections;
  renderInHost(
    "/resource",
    sections.map(({ id, section }) => {
      const Section = section as ComponentType<{ resource: object }>;
      return <Section key={id} resource={{ ...resource, cluster: CLUSTER }} />;
    }),
  );
}

/** Shows an element outside of any page. */
export function show(element: ReactNode): void {
  renderInHost("/", element);
}

function renderInHost(path: string, children: ReactNode): void {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  setStore(store);
  render(
    <Provider store={store}>
      <QueryClientProvider client={client}>
        <ThemeProvider theme={createMuiTheme(darkTheme)}>
          <MemoryRouter initialEntries={[`/c/${CLUSTER}${path}`]}>{children}</MemoryRouter>
        </ThemeProvider>
      </QueryClientProvider>
    </Provider>,
  );
}

/** Answers requests of the page, which is served from the same address. */
async function serve(path: string, state: ClusterState): Promise<void> {
  const server = createServer(({ url = "" }, response) => {
    const { pathname } = new URL(url, "http://localhost");
    const asked = pathname.replace(`/clusters/${CLUSTER}`, "");
    const found = state.failures?.[asked] ?? answer(asked, state);
    const status = typeof found === "number" ? found : 200;
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(typeof found === "number" ? { message: `status ${found}` } : found));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  jsdom.reconfigure({ url: `http://127.0.0.1:${port}/c/${CLUSTER}${path}` });
}

/** Returns an object, a list, or the status of an error. */
function answer(path: string, { reports, leaseAgeMs }: ClusterState): object | number {
  if (path === LEASE) {
    return leaseAgeMs === undefined ? 404 : createLease(new Date(Date.now() - leaseAgeMs));
  }
  const [, namespace, plural, name] =
    path.match(`^${GROUP}(?:/namespaces/([^/]+))?/((?:cluster)?policyviolationreports)(?:/([^/]+))?$`) ?? [];
  if (plural === undefined) return 404;
  const items = reports.filter(
    ({ kind, metadata }) =>
      `${kind.toLowerCase()}s` === plural && (namespace === undefined || metadata.namespace === namespace),
  );
  if (name !== undefined) return items.find(({ metadata }) => metadata.name === name) ?? 404;
  return { kind: "List", apiVersion: "v1", metadata: { resourceVersion: "1" }, items };
}

function createLease(renewed: Date): object {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "policy-violation-operator", namespace: "kubearmor" },
    spec: { holderIdentity: "operator-0", renewTime: renewed.toISOString(), leaseDurationSeconds: 15 },
  };
}
