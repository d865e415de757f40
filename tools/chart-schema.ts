// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes the chart's values.schema.json from two schemas: the operator's configuration, and the chart's own values below.
// Invariant: descriptions are the comments of values.yaml and of the settings; a test compares the file.

import { z } from "zod";
import { configSchema } from "../src/config/schema/schema.ts";
import { sectionFacts, settingFacts } from "../src/config/schema/setting.ts";
import { DURATION_PATTERN, SIZE_PATTERN } from "../src/lib/quantity.ts";
import { readChartValues } from "./chart-values.ts";

/** Settings that the chart itself decides, so that no value contradicts its objects. */
const OWNED_BY_CHART: ReadonlySet<string> = new Set([
  "kubeconfig",
  "identity",
  "metrics.address",
  "health.address",
  "journal.path",
  "scale.enabled",
  "scale.nats.secretPath",
  "leaderElection.leaseNamespace",
]);

type JsonSchema = Record<string, unknown> & { properties?: Record<string, JsonSchema> };

const freeForm = z.record(z.string(), z.unknown());
const text = z.string();
const filled = z.string().min(1);
const texts = z.record(z.string(), z.string());
const port = z.int().min(1).max(65_535);
const autoSwitch = z.literal([true, false, "auto"]);
const duration = z.string().regex(/^([0-9]+(ms|s|m|h))*$/);
const quantities = z.record(z.string(), z.union([z.string(), z.number()]));
const resources = z.strictObject({ requests: quantities, limits: quantities }).partial();
const image = z
  .strictObject({
    repository: filled,
    tag: text,
    digest: z.string().regex(/^(sha256:[0-9a-f]{64})?$/),
    pullPolicy: z.enum(["Always", "IfNotPresent", "Never"]),
  })
  .partial({ tag: true, digest: true, pullPolicy: true });
const monitor = z
  .strictObject({
    enabled: autoSwitch,
    labels: texts,
    interval: duration,
    scrapeTimeout: duration,
    relabelings: z.array(freeForm),
    metricRelabelings: z.array(freeForm),
  })
  .partial();

/** Every value but `config`; all may be left out. */
const ownValues = z
  .strictObject({
    nameOverride: z.string().max(63),
    fullnameOverride: z.string().max(63),
    commonLabels: texts,
    replicas: z.int().min(0).max(10),
    scale: z
      .strictObject({
        enabled: z.boolean(),
        readers: z.int().min(0).max(64),
        owners: z.int().min(0).max(64),
        secretName: text,
        natsPorts: z.array(port).min(1),
      })
      .partial(),
    image,
    imagePullSecrets: z.array(z.strictObject({ name: filled })),
    journal: z.strictObject({ enabled: z.boolean(), volume: freeForm }).partial(),
    crds: z.strictObject({ install: z.boolean(), keep: z.boolean() }).partial(),
    admissionPolicy: z.strictObject({ enabled: z.boolean(), action: z.enum(["Deny", "Warn", "Audit"]) }).partial(),
    serviceAccount: z
      .strictObject({ create: z.boolean(), name: text, annotations: texts, tokenExpirationSeconds: z.int().min(600) })
      .partial(),
    rbac: z
      .strictObject({
        create: z.boolean(),
        aggregateToView: z.boolean(),
        aggregateToEdit: z.boolean(),
        aggregateToAdmin: z.boolean(),
        heartbeat: z.boolean(),
      })
      .partial(),
    podDisruptionBudget: z
      .strictObject({ enabled: z.boolean(), maxUnavailable: z.union([z.int().min(0), z.string().regex(/^[0-9]+%$/)]) })
      .partial(),
    networkPolicy: z
      .strictObject({
        enabled: z.boolean(),
        apiServerPorts: z.array(port).min(1),
        dnsPorts: z.array(port).min(1),
        metricsFrom: z.array(freeForm),
        probesFrom: z.array(freeForm),
        extraIngress: z.array(freeForm),
        extraEgress: z.array(freeForm),
      })
      .partial(),
    flowSchema: z
      .strictObject({ enabled: z.boolean(), priorityLevel: filled, matchingPrecedence: z.int().min(1).max(10_000) })
      .partial(),
    service: z.strictObject({ annotations: texts }).partial(),
    serviceMonitor: monitor,
    podMonitor: monitor,
    prometheusRule: z
      .strictObject({
        enabled: autoSwitch,
        labels: texts,
        runbookUrl: filled,
        disabled: z.array(text),
        alertLabels: texts,
      })
      .partial(),
    dashboard: z
      .strictObject({
        enabled: z.boolean(),
        labels: texts,
        annotations: texts,
        namespace: text,
        grafanaOperator: z
          .strictObject({ enabled: autoSwitch, instanceSelector: freeForm, folder: text, labels: texts })
          .partial(),
      })
      .partial(),
    resources,
    gitExport: z
      .strictObject({
        enabled: z.boolean(),
        schedule: filled,
        timeZone: text,
        repository: text,
        branch: filled,
        path: filled,
        summary: z.boolean(),
        author: text,
        credentialsSecret: text,
        image,
        resources,
      })
      .partial(),
    antiAffinity: z.enum(["preferred", "required", "none"]),
    affinity: freeForm,
    topologySpreadConstraints: z.array(freeForm),
    nodeSelector: texts,
    tolerations: z.array(freeForm),
    priorityClassName: text,
    runtimeClassName: text,
    dnsPolicy: z.enum(["", "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    dnsConfig: freeForm,
    hostAliases: z.array(freeForm),
    deploymentAnnotations: texts,
    podAnnotations: texts,
    podLabels: texts,
    podSecurityContext: freeForm,
    securityContext: freeForm,
    extraArgs: z.array(text),
    extraEnv: z.array(z.looseObject({ name: text })),
    extraEnvFrom: z.array(freeForm),
    extraVolumes: z.array(z.looseObject({ name: text })),
    extraVolumeMounts: z.array(z.looseObject({ name: text, mountPath: text })),
    extraContainers: z.array(freeForm),
    extraInitContainers: z.array(freeForm),
    extraObjects: z.array(z.union([freeForm, text])),
    revisionHistoryLimit: z.int().min(0),
    global: freeForm.describe("Values that a parent chart shares with all its charts. Not read."),
  })
  .partial();

/** Returns the text of values.schema.json. */
export function buildValuesSchema(): string {
  const { $schema, properties = {}, ...rest } = toJsonSchema(ownValues);
  for (const { path, about } of readChartValues()) describe({ properties }, path.split("."), about);
  const schema = {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Values of the chart policy-violation-operator",
    ...rest,
    properties: { ...properties, config: buildConfigSchema() },
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function toJsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { target: "draft-07", io: "input" }) as JsonSchema;
}

function describe(schema: JsonSchema, path: readonly string[], about: string): void {
  const [key = "", ...below] = path;
  const child = schema.properties?.[key];
  if (child === undefined) return;
  if (below.length > 0) describe(child, below, about);
  else schema.properties = { ...schema.properties, [key]: { ...child, description: about } };
}

function buildConfigSchema(): JsonSchema {
  return buildSectionSchema(configSchema, "") as JsonSchema;
}

/** Undefined for a section of which the chart owns every setting. */
function buildSectionSchema(section: z.ZodObject, path: string): JsonSchema | undefined {
  const properties: Record<string, JsonSchema> = {};
  for (const [key, child] of Object.entries(section.shape)) {
    const childPath = path === "" ? key : `${path}.${key}`;
    if (OWNED_BY_CHART.has(childPath)) continue;
    const schema = child instanceof z.ZodObject ? buildSectionSchema(child, childPath) : buildSettingSchema(child);
    if (schema !== undefined) properties[key] = schema;
  }
  if (Object.keys(properties).length === 0) return undefined;
  const description = path === "" ? "The operator's configuration file." : (sectionFacts.get(section)?.about ?? "");
  return { type: "object", additionalProperties: false, description, properties };
}

function buildSettingSchema(setting: z.ZodType): JsonSchema {
  const facts = settingFacts.get(setting);
  if (facts === undefined) throw new Error("a setting has no description");
  const { $schema, ...number } = toJsonSchema(setting);
  const description = facts.about;
  const pattern = facts.unit === "ms" ? DURATION_PATTERN : SIZE_PATTERN;
  if (facts.unit === "ms" || facts.unit === "bytes") {
    return { description, anyOf: [number, { type: "string", pattern }] };
  }
  const hasBooleans = facts.words?.includes("true") === true;
  if (hasBooleans) return { description, enum: [...(facts.words ?? []), true, false] };
  return { ...number, description };
}
