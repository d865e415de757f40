// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns how reports are kept as files: one deterministic YAML file per report, for replay, demo and Git.
// Invariant: writes only below its directory, and a reader never sees half a file.

import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import {
  API_GROUP_VERSION,
  CLUSTER_REPORT_KIND,
  CLUSTER_REPORT_PLURAL,
  REPORT_KIND,
  REPORT_PLURAL,
} from "../api/names.ts";
import type { ObjectMeta, Report } from "../api/v1alpha1.ts";
import { assert } from "../lib/assert.ts";
import { getErrorMessage } from "../lib/error-message.ts";
import { stableHash } from "../lib/hash.ts";
import { isObject, toObject, toText } from "../lib/json.ts";
import { addClusterLabel } from "./cluster-label.ts";
import { makeFolder } from "./make-folder.ts";
import { type ReadResult, type ReportRef, type ReportSink, SinkError } from "./report-sink.ts";

/** Not a legal namespace name, so it can't collide with one. */
export const CLUSTER_DIRECTORY = "_cluster";
/** Metadata that a store adds; files omit it so that two runs write the same bytes. */
const STORE_METADATA = ["resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink"];
/** File systems end a name at 255 bytes; a report's name may have 253. */
const MAX_FILE_STEM = 240;
const SUFFIX = ".yaml";

/**
 * Returns the sink that keeps reports in `directory`, which is made when the first report is written, with the label of
 * the cluster where it has a name.
 *
 * The resourceVersion of a report is a hash of its file's bytes: a file that was changed or removed by hand since it was
 * read is a conflict or gone, as in a cluster. Between that check and the rename there is no lock: one writer only.
 */
export function createDirectorySink(directory: string, clusterName = ""): ReportSink {
  let temporaryFiles = 0;

  async function load(path: string): Promise<{ text: string; version: string } | undefined> {
    try {
      const text = await readFile(path, "utf8");
      return { text, version: stableHash(text, 16) };
    } catch (error) {
      if (readCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  async function store(path: string, text: string): Promise<void> {
    temporaryFiles += 1;
    const temporary = join(dirname(path), `.${temporaryFiles}.tmp`);
    await makeFolder(dirname(path));
    try {
      await writeFile(temporary, text);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  return {
    async *list(signal) {
      for (const path of await reportFiles(directory)) {
        if (signal.aborted) throw new SinkError(`listing ${directory} was given up`);
        const file = await load(path).catch((error: unknown) => {
          throw new SinkError(`cannot read ${path}: ${getErrorMessage(error)}`, { cause: error });
        });
        if (file === undefined) continue;
        const report = parseReportFile(file.text, file.version);
        if (typeof report === "string" || toPath(directory, report.metadata) !== path) {
          const why = typeof report === "string" ? report : "its name and namespace are not those of its path";
          throw new SinkError(`${path}: ${why}; remove the file to have it recreated`);
        }
        yield report;
      }
    },

    async read(ref) {
      const path = toPath(directory, ref);
      try {
        const file = await load(path);
        if (file === undefined) return { kind: "absent" };
        const report = parseReportFile(file.text, file.version);
        if (typeof report !== "string") return { kind: "found", report };
        return { kind: "refused", message: `${path}: ${report}; remove the file` };
      } catch (error) {
        return toFailure(path, error);
      }
    },

    async write(report) {
      const path = toPath(directory, report.metadata);
      const { resourceVersion } = report.metadata;
      try {
        const present = await load(path);
        if (present === undefined && resourceVersion !== undefined) return { kind: "gone" };
        if (present !== undefined && present.version !== resourceVersion) return { kind: "conflict" };
        const text = reportToYaml(addClusterLabel(report, clusterName));
        if (text !== present?.text) await store(path, text);
        const metadata = { ...ownMetadata(report), resourceVersion: stableHash(text, 16) };
        return { kind: "written", report: { ...report, metadata } };
      } catch (error) {
        return toFailure(path, error);
      }
    },

    async remove(ref, version) {
      const path = toPath(directory, ref);
      try {
        const present = await load(path);
        if (present === undefined) return { kind: "absent" };
        if (present.version !== version.resourceVersion) return { kind: "conflict" };
        await rm(path);
        return { kind: "removed" };
      } catch (error) {
        return toFailure(path, error);
      }
    },
  };
}

/**
 * Prints a report as YAML: keys in the order of the object, one line per string, and quotes wherever a reader of YAML
 * 1.1 (kubectl is one) or 1.2 would take the text for something else. What only a store adds is left out.
 */
export function reportToYaml(report: Report): string {
  return stringify(
    { ...report, metadata: ownMetadata(report) },
    { lineWidth: 0, blockQuote: "literal", aliasDuplicateObjects: false, compat: "yaml-1.1", indentSeq: false },
  );
}

function ownMetadata(report: Report): ObjectMeta {
  const entries = Object.entries(report.metadata).filter(([key]) => !STORE_METADATA.includes(key));
  return { ...Object.fromEntries(entries), name: report.metadata.name };
}

/** The file that keeps a report; throws for a name that could lead out of the directory. */
export function toPath(directory: string, ref: ReportRef): string {
  const { namespace, name } = ref;
  assertFileName(name);
  if (namespace !== undefined) {
    assertFileName(namespace);
    assert(namespace !== CLUSTER_DIRECTORY, "the cluster's directory is not a namespace");
  }
  let stem = name;
  if (Buffer.byteLength(name) > MAX_FILE_STEM) stem = `${name.slice(0, MAX_FILE_STEM)}-${stableHash(name, 8)}`;
  return namespace === undefined
    ? join(directory, CLUSTER_DIRECTORY, CLUSTER_REPORT_PLURAL, stem + SUFFIX)
    : join(directory, namespace, REPORT_PLURAL, stem + SUFFIX);
}

/** Names reach this point checked (they are names of Kubernetes objects); one that could leave the directory is a bug. */
function assertFileName(name: string): void {
  assert(name !== "" && !name.startsWith("."), `"${name}" is not a file name`);
  assert(!/[/\\\0]|\.\./.test(name), `"${name}" must not lead out of the directory`);
}

export function parseReportFile(text: string, resourceVersion: string): Report | string {
  let value: unknown;
  try {
    value = parse(text, { prettyErrors: false, logLevel: "error" });
  } catch (error) {
    return `no YAML (${getErrorMessage(error)})`;
  }
  if (!isObject(value) || !isObject(value["metadata"]) || typeof value["metadata"]["name"] !== "string") {
    return "no report";
  }
  const { apiVersion, kind, metadata, policy, summary, violations, coverage } = value;
  if (apiVersion !== API_GROUP_VERSION) return `apiVersion is not ${API_GROUP_VERSION}`;
  const namespaced = metadata["namespace"] !== undefined;
  if (kind !== (namespaced ? REPORT_KIND : CLUSTER_REPORT_KIND)) return "kind and metadata.namespace do not fit";
  if (!isObject(policy) || !isObject(summary) || !Array.isArray(violations) || !isObject(coverage)) {
    return "policy, summary, violations or coverage is missing";
  }
  return { ...value, metadata: { ...metadata, resourceVersion } } as unknown as Report;
}

/** Paths of all report files, sorted; other files are ignored. A directory that is not there is empty. */
async function reportFiles(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const scope of await listNames(directory)) {
    const plural = scope === CLUSTER_DIRECTORY ? CLUSTER_REPORT_PLURAL : REPORT_PLURAL;
    for (const file of await listNames(join(directory, scope, plural))) {
      if (file.endsWith(SUFFIX) && !file.startsWith(".")) found.push(join(directory, scope, plural, file));
    }
  }
  return found;
}

async function listNames(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (readCode(error) === "ENOENT" || readCode(error) === "ENOTDIR") return [];
    throw new SinkError(`cannot list ${directory}: ${getErrorMessage(error)}`, { cause: error });
  }
}

const NO_PERMISSION = ["EACCES", "EPERM", "EROFS"];
/** ENOENT: what Node says of a folder that can't be made on a read-only file system. */
const NO_PLACE = ["ENOENT", "ENOSPC", "EDQUOT", "ENOTDIR", "EISDIR", "ENAMETOOLONG", "EEXIST", "ELOOP"];
const NEEDS_A_PERSON = [...NO_PERMISSION, ...NO_PLACE];

function toFailure(path: string, error: unknown): Extract<ReadResult, { message: string }> {
  const code = readCode(error);
  if (code === "") throw error;
  const message = `${path}: ${getErrorMessage(error)}`;
  if (NEEDS_A_PERSON.includes(code)) return { kind: "refused", message };
  return { kind: "retry", message };
}

function readCode(error: unknown): string {
  return toText(toObject(error)["code"]);
}
