// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns what the end of a gRPC call means: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
// Invariant: pure; every end has a status, also one of which the peer said nothing.

import { constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";

/** By code. */
const NAMES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** The codes that are told apart here. */
export const OK = 0;
export const UNIMPLEMENTED = 12;
const UNKNOWN = 2;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
  /** Set where we refused a message for its length. */
  readonly isTooLarge?: true;
}

/** As it is shown: `14 UNAVAILABLE: connection dropped`. */
export function statusText({ code, details }: GrpcStatus): string {
  return `${code} ${NAMES[code] ?? "no known code"}: ${details}`;
}

/** There is no connection, or it broke. */
export function unavailable(details: string): GrpcStatus {
  return { code: UNAVAILABLE, details };
}

/** A message is longer than may be. */
export function tooLarge(length: number, maxLength: number): GrpcStatus {
  const details = `Received message larger than max (${length} vs ${maxLength})`;
  return { code: RESOURCE_EXHAUSTED, details, isTooLarge: true };
}

/** A message is compressed, which nobody offered to take. */
export const COMPRESSED: GrpcStatus = {
  code: INTERNAL,
  details: "Received a compressed message, which was not asked for",
};

/** What the peer says in its trailers, or in headers without a body; undefined when it says nothing. */
export function toldStatus(headers: IncomingHttpHeaders | undefined): GrpcStatus | undefined {
  const code = headers?.["grpc-status"];
  if (code === undefined) return undefined;
  const number = Number(code);
  const details = percentDecoded(String(headers?.["grpc-message"] ?? ""));
  return { code: Number.isInteger(number) ? number : UNKNOWN, details };
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Whoever does not encode says it plainly.
    return text;
  }
}

/** Says what an answer means that is none of gRPC; undefined for one that may be. */
export function httpStatus(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): GrpcStatus | undefined {
  const status = headers[":status"];
  if (status === 200) return undefined;
  const details = `Received HTTP status code ${status}`;
  return { code: status === undefined ? UNKNOWN : (OF_HTTP.get(status) ?? UNKNOWN), details };
}

/** https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
const OF_HTTP = new Map<number, number>([
  [400, INTERNAL],
  [401, UNAUTHENTICATED],
  [403, PERMISSION_DENIED],
  [404, UNIMPLEMENTED],
  [429, UNAVAILABLE],
  [502, UNAVAILABLE],
  [503, UNAVAILABLE],
  [504, UNAVAILABLE],
]);

/** What it means that a call's stream was closed with an HTTP/2 error code, and nothing else was said. */
export function resetStatus(code: number): GrpcStatus {
  switch (code) {
    case constants.NGHTTP2_NO_ERROR:
      return { code: INTERNAL, details: "Call ended without gRPC status" };
    case constants.NGHTTP2_REFUSED_STREAM:
      return unavailable("Stream refused by server");
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return { code: RESOURCE_EXHAUSTED, details: "Bandwidth exhausted or memory limit exceeded" };
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return { code: PERMISSION_DENIED, details: "Protocol not secure enough" };
    default:
      return { code: INTERNAL, details: `Received RST_STREAM with code ${code}` };
  }
}
