// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Registers pages, sections and settings with Headlamp.

import {
  registerDetailsViewSection,
  registerPluginSettings,
  registerRoute,
  registerSidebarEntry,
} from "@kinvolk/headlamp-plugin/lib";
import { ROUTE } from "./cluster/resources.ts";
import { PLUGIN } from "./cluster/settings.ts";
import { ReportDetails, ViolationDetails } from "./components/detail-pages.tsx";
import { ReportList, ViolationList } from "./components/list-pages.tsx";
import { ResourceSection } from "./components/resource-section.tsx";
import { SettingsForm } from "./components/settings-form.tsx";

const PATH = "/kubearmor-violations";

registerSidebarEntry({
  parent: null,
  name: ROUTE.violations,
  label: "KubeArmor violations",
  url: PATH,
  // One of the icons that Headlamp brings along; others would be loaded from the Internet.
  icon: "mdi:shield-alert",
});
registerSidebarEntry({ parent: ROUTE.violations, name: "kubearmor-violation-list", label: "Violations", url: PATH });
registerSidebarEntry({ parent: ROUTE.violations, name: ROUTE.reports, label: "Reports", url: `${PATH}/reports` });

registerRoute({
  path: PATH,
  name: ROUTE.violations,
  sidebar: "kubearmor-violation-list",
  exact: true,
  component: () => <ViolationList />,
});
registerRoute({
  path: `${PATH}/reports`,
  name: ROUTE.reports,
  sidebar: ROUTE.reports,
  exact: true,
  component: () => <ReportList />,
});
registerRoute({
  path: `${PATH}/reports/:namespace/:name`,
  name: ROUTE.report,
  sidebar: ROUTE.reports,
  exact: true,
  component: () => <ReportDetails />,
});
registerRoute({
  path: `${PATH}/reports/:namespace/:name/:id`,
  name: ROUTE.violation,
  sidebar: "kubearmor-violation-list",
  exact: true,
  component: () => <ViolationDetails />,
});

registerDetailsViewSection(({ resource }) => <ResourceSection resource={resource} />);
registerPluginSettings(PLUGIN, SettingsForm, true);
