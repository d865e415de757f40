// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The section on the pages of pods, workloads and nodes.

import { Loader, SectionBox } from "@kinvolk/headlamp-plugin/lib/CommonComponents";
import { type Scope, useReports } from "../cluster/resources.ts";
import { findForSubject, type Subject } from "../model/findings.ts";
import { describeFindings, describeListError, describeNone } from "../model/notes.ts";
import { Notes } from "./labels.tsx";
import { ViolationTable } from "./violation-table.tsx";

const KINDS: readonly string[] = [
  "Pod",
  "Deployment",
  "StatefulSet",
  "DaemonSet",
  "ReplicaSet",
  "Job",
  "CronJob",
  "Node",
];

interface Resource {
  kind: string;
  /** Name in Headlamp. */
  cluster: string;
  metadata: { name: string; namespace?: string };
}

/** Adds the section to a page of these kinds; nothing to another. */
export function ResourceSection({ resource }: { resource?: Resource }) {
  if (!resource || !KINDS.includes(resource.kind)) return null;
  const { kind, metadata, cluster } = resource;
  const { name, namespace } = metadata;
  const inNamespace = namespace === undefined ? {} : { namespace };
  return <SubjectSection subject={{ kind, name, ...inNamespace }} scope={{ cluster, ...inNamespace }} />;
}

function SubjectSection({ subject, scope }: { subject: Subject; scope: Scope }) {
  const { reports, errors, clusters } = useReports(scope);
  if (reports === undefined) return <Loader title="Loading violations" />;
  const found = findForSubject(reports, subject);
  return (
    <SectionBox title="KubeArmor violations">
      <Notes notes={[...errors.map(describeListError), ...describeFindings(found, subject)]} />
      <ViolationTable findings={found.findings} clusters={clusters} emptyMessage={describeNone({ reports, errors })} />
    </SectionBox>
  );
}
