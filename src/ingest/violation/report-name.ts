// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The name of a policy's report.

import { DEFAULT_POSTURE } from "../../api/names.ts";
import { stableHash } from "../../lib/hash.ts";

const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** Kubernetes' bound on an object's name (apimachinery: DNS1123SubdomainMaxLength). */
const MAX_NAME = 253;
const DEFAULT_POSTURE_REPORT = "default-posture";
/** End of a made-up name. There is a letter in it, so that a policy may be named after a date. */
const MADE_UP = /-(?=\d*[a-f])[0-9a-f]{8}$/;

/**
 * The name of a policy's report: the policy's own if it is a valid object name; `default-posture` for DefaultPosture;
 * else, or where it could be mistaken for one of these, a readable slug and 8 hex digits of the policy name's hash.
 */
export function reportName(policyName: string): string {
  if (policyName === DEFAULT_POSTURE) return DEFAULT_POSTURE_REPORT;
  const legal = policyName.length <= MAX_NAME && DNS_SUBDOMAIN.test(policyName);
  if (legal && policyName !== DEFAULT_POSTURE_REPORT && !MADE_UP.test(policyName)) return policyName;
  const slug = policyName
    .toLowerCase()
    .slice(0, 200)
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return `${slug === "" ? "policy" : slug}-${hashWithLetter(policyName)}`;
}

function hashWithLetter(text: string): string {
  let hash = stableHash(text, 8);
  while (/^\d+$/.test(hash)) hash = stableHash(`${hash}${text}`, 8);
  return hash;
}
