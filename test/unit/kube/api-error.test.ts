// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Bodies as kube-apiserver words them, and some of what may stand before one; a row says what this program must make of
// it. The integration tests provoke those that a healthy server can be made to send.

import { describe, expect, test } from "vitest";
import { ApiError, CallAborted, classifyAnswer, classifyFailure } from "../../../src/kube/api-error.ts";
import { parseTable } from "../../support/text-table.ts";

const CALL = {
  method: "PUT",
  server: "https://10.0.0.1:6443",
  path: "/apis/reports.kubearmor.com/v1alpha1/namespaces/shop/policyviolationreports/p",
};
const GET_NAMESPACE = { method: "GET", server: CALL.server, path: "/api/v1/namespaces/shop" };

const REPORTS = { group: "reports.kubearmor.com", kind: "policyviolationreports" };

function createStatus(message: string, reason: string, code: number, details?: object): string {
  const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason };
  return JSON.stringify({ ...status, ...(details === undefined ? {} : { details }), code });
}

/** Details of a Status, by the word that a table has for them. */
const DETAILS: Record<string, object> = {
  report: { name: "p", ...REPORTS },
  namespace: { name: "shop", kind: "namespaces" },
  terminating: {
    name: "p",
    ...REPORTS,
    causes: [
      { reason: "NamespaceTerminating", message: "namespace shop is being terminated", field: "metadata.namespace" },
    ],
  },
  name: { name: "p" },
  wait: { retryAfterSeconds: 1 },
  cause: { name: "p", kind: "secrets", causes: [{ message: "no" }] },
  empty: {},
};

// title | HTTP status, code | reason | details | message
const STATUSES = parseTable(`
an object that is not there | 404 NotFound | NotFound | report | policyviolationreports.reports.kubearmor.com "p" not found
a namespace that is not there | 404 NamespaceGone | NotFound | namespace | namespaces "shop" not found
a resource that an aggregated server does not know | 404 NotServed | NotFound | empty | the server could not find the requested resource
a namespace that is being deleted | 403 NamespaceGone | Forbidden | terminating | policyviolationreports.reports.kubearmor.com "p" is forbidden: unable to create new content in namespace shop because it is being terminated
a verb that RBAC does not allow | 403 Forbidden | Forbidden | report | policyviolationreports.reports.kubearmor.com "p" is forbidden: User "system:serviceaccount:shop:nobody" cannot update resource "policyviolationreports" in API group "reports.kubearmor.com" in the namespace "shop"
an invalid token | 401 Unauthorized | Unauthorized | | Unauthorized
a stale resourceVersion | 409 Conflict | Conflict | report | Operation cannot be fulfilled on policyviolationreports.reports.kubearmor.com "p": the object has been modified; please apply your changes to the latest version and try again
a name that is taken | 409 AlreadyExists | AlreadyExists | report | policyviolationreports.reports.kubearmor.com "p" already exists
a field that the schema does not know | 400 Invalid | BadRequest | | PolicyViolationReport in version "v1alpha1" cannot be handled as a PolicyViolationReport: strict decoding error: unknown field "sumary"
a value that the schema refuses | 422 Invalid | Invalid | name | PolicyViolationReport.reports.kubearmor.com "p" is invalid: summary.prevented: Invalid value: -1: summary.prevented in body should be greater than or equal to 0
an object beyond etcd's limit | 500 TooLarge | | | etcdserver: request is too large
an object beyond the gRPC limit before etcd | 500 TooLarge | | | rpc error: code = ResourceExhausted desc = trying to send message larger than max (2621899 vs. 2097152)
a body beyond the API server's limit | 413 TooLarge | RequestEntityTooLarge | | Request entity too large: limit is 3145728
a CRD that was changed a moment ago | 429 Throttled | TooManyRequests | wait | storage is (re)initializing
priority and fairness | 429 Throttled | TooManyRequests | | too many requests, please try again later
a paging token that is too old | 410 Expired | Expired | | The provided continue parameter is too old to display a consistent list result.
a store that timed out after it was asked | 500 NotAnswered | InternalError | | etcdserver: request timed out
a store whose leader changed | 500 NotAnswered | InternalError | | etcdserver: leader changed
a server that gave up waiting | 504 NotAnswered | Timeout | | Timeout: request did not complete within requested timeout - context deadline exceeded
a webhook that fails | 500 Unavailable | InternalError | | Internal error occurred: failed calling webhook "x.example.com": connection refused
a server that is shutting down | 503 Unavailable | ServiceUnavailable | | apiserver is shutting down
a webhook that denies with 400 | 400 Forbidden | | | admission webhook "w.example.com" denied the request: no
a webhook that denies with 401 | 401 Forbidden | | | admission webhook "w.example.com" denied the request: no
a webhook that denies with 404 | 404 Forbidden | | | admission webhook "w.example.com" denied the request: no
a webhook that denies with 409 | 409 Forbidden | | | admission webhook "w.example.com" denied the request: no
a webhook that denies with 410 | 410 Forbidden | | | admission webhook "w.example.com" denied the request: no
a webhook that denies with 413 | 413 Forbidden | | | admission webhook "w.example.com" denied the request: no
a webhook that asks for patience | 429 Throttled | | | admission webhook "w.example.com" denied the request: later
an admission policy that denies as a schema does | 422 Forbidden | Invalid | cause | secrets "p" is forbidden: ValidatingAdmissionPolicy 'v' with binding 'v' denied request: no
a LimitRange | 403 Forbidden | Forbidden | | pods "p" is forbidden: maximum cpu usage per Container is 1, but limit is 3
`).map(([title = "", answer = "", reason = "", details = "", message = ""]): (typeof ANSWERS)[number] => {
  const [http = "", code = ""] = answer.split(" ");
  return [title, Number(http), createStatus(message, reason, Number(http), DETAILS[details]), code];
});

const ANSWERS: [title: string, http: number, body: string, code: string][] = [
  ["an API group that is not there", 404, "404 page not found\n", "NotServed"],
  ["a gateway that lost the server", 502, "<html><h1>502 Bad Gateway</h1></html>", "NotAnswered"],
  ["a load balancer without servers", 503, "no healthy upstream", "Unavailable"],
  ["a login page", 302, "", "Unknown"],
];

describe("an answer is classified", () => {
  test.each([...STATUSES, ...ANSWERS])("%s", (_title, http, body, code) => {
    const error = classifyAnswer(CALL, { status: http, body, nowMs: 0 });
    expect(error).toBeInstanceOf(ApiError);
    expect(error.code).toBe(code);
    expect(error.message).toContain(`(${http}`);
  });

  test("a namespace that was asked for by name is an object like any other", () => {
    const body = createStatus('namespaces "shop" not found', "NotFound", 404, { name: "shop", kind: "namespaces" });
    expect(classifyAnswer(GET_NAMESPACE, { status: 404, body, nowMs: 0 }).code).toBe("NotFound");
  });

  test("the message says what, why and what to do", () => {
    const hint = (message: string) => {
      const body = createStatus(message, "Forbidden", 403, { name: "p", ...REPORTS });
      return classifyAnswer(CALL, { status: 403, body, nowMs: 0 }).message.split("; ").at(-1);
    };
    expect(hint("exceeded quota: q, requested: count/policyviolationreports=1, used: 5, limited: 5")).toContain(
      "ResourceQuota",
    );
    expect(hint('admission webhook "w.example" denied the request: no')).toContain("admission webhook");
    expect(
      hint("policyviolationreports p is forbidden: ValidatingAdmissionPolicy 'x' with binding 'y' denied request: no"),
    ).toContain("admission policy");
    expect(hint('User "u" cannot update resource "policyviolationreports"')).toContain("RBAC");
    const body = createStatus("no way", "Forbidden", 403, { name: "p", ...REPORTS });
    expect(classifyAnswer(CALL, { status: 403, body, nowMs: 0 }).message).toBe(
      "PUT /apis/reports.kubearmor.com/v1alpha1/namespaces/shop/policyviolationreports/p: no way (403 Forbidden); " +
        "grant it to the operator's ServiceAccount (RBAC)",
    );
  });

  test("a message that quotes a whole object is cut", () => {
    const error = classifyAnswer(CALL, { status: 422, body: createStatus("x".repeat(5000), "Invalid", 422), nowMs: 0 });
    expect(error.message).toHaveLength(CALL.path.length + "PUT : ".length + 600 + "… (422 Invalid)".length);
  });
});

const RETRY_AFTER: [title: string, header: string | undefined, body: string, expected: number | undefined][] = [
  ["seconds in the header", "7", "", 7000],
  ["seconds in the body", undefined, createStatus("wait", "TooManyRequests", 429, { retryAfterSeconds: 1 }), 1000],
  ["the header before the body", "2", createStatus("wait", "TooManyRequests", 429, { retryAfterSeconds: 9 }), 2000],
  ["a date", "Mon, 23 Nov 2026 10:00:30 GMT", "", 30_000],
  ["a date that is past", "Mon, 23 Nov 2026 09:00:00 GMT", "", 0],
  ["no more than five minutes", "86400", "", 300_000],
  ["nonsense", "soon", "", undefined],
  ["nothing", undefined, "", undefined],
];

test.each(RETRY_AFTER)("Retry-After: %s", (_title, retryAfter, body, expected) => {
  const nowMs = Date.UTC(2026, 10, 23, 10);
  expect(classifyAnswer(CALL, { status: 429, body, retryAfter, nowMs }).retryAfterMs).toBe(expected);
});

function createCodedError(code: string, message = code): Error {
  return Object.assign(new Error(message), { code });
}

const FAILURES: [title: string, error: unknown, code: string][] = [
  ["no listener", createCodedError("ECONNREFUSED"), "Unavailable"],
  ["the name can't be resolved", createCodedError("ENOTFOUND"), "Unavailable"],
  ["no connection in time", createCodedError("UND_ERR_CONNECT_TIMEOUT"), "Unavailable"],
  ["a certificate of another name", createCodedError("ERR_TLS_CERT_ALTNAME_INVALID"), "Unavailable"],
  ["a certificate of an unknown CA", createCodedError("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), "Unavailable"],
  ["a certificate for clients", createCodedError("INVALID_PURPOSE"), "Unavailable"],
  ["no TLS at all", createCodedError("EPROTO"), "Unavailable"],
  ["the connection was reset", createCodedError("ECONNRESET"), "NotAnswered"],
  ["the other side closed", createCodedError("UND_ERR_SOCKET", "other side closed"), "NotAnswered"],
  ["the time was up", new CallAborted("no answer within 30 s"), "NotAnswered"],
  ["a header that can't be sent", createCodedError("UND_ERR_INVALID_ARG"), "Unknown"],
  ["an error of a kind not met before", new Error("?"), "NotAnswered"],
  ["no error at all", "text", "NotAnswered"],
];

test.each(FAILURES)("a failure is classified: %s", (_title, error, code) => {
  const apiError = classifyFailure(CALL, error);
  expect(apiError.code).toBe(code);
  expect(apiError.cause).toBe(error);
  expect(apiError.message).toContain("PUT https://10.0.0.1:6443/apis/reports.kubearmor.com");
});

test("an ApiError stays what it is", () => {
  const error = new ApiError("Conflict", "m");
  expect(classifyFailure(CALL, error)).toBe(error);
});
