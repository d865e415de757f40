// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// KubeArmor's messages as bytes: proto/kubearmor.proto through proto-loader, and the cheap way to restamp one.
// Invariant: what it encodes is what KubeArmor's Go server would send: empty values are not on the wire.

import { fileURLToPath } from "node:url";
import type { MethodDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { formatUpdatedTime, type WireAlert } from "./alerts.ts";

type LogService<AlertMessage> = {
  HealthCheck: MethodDefinition<{ nonce: number }, { Retval: number }>;
  WatchMessages: MethodDefinition<{ Filter: string }, object>;
  WatchAlerts: MethodDefinition<{ Filter: string }, AlertMessage>;
  WatchLogs: MethodDefinition<{ Filter: string }, object>;
};

const protoPath = fileURLToPath(new URL("../../proto/kubearmor.proto", import.meta.url));

/** `feeder.LogService` as a grpc-js client uses it, alerts decoded; fields that are not on the wire are absent. */
export const clientService = loadSync(protoPath, { keepCase: true, longs: Number })[
  "feeder.LogService"
] as unknown as LogService<WireAlert>;

/** `feeder.LogService` as the server registers it: alerts leave it as bytes that are encoded already. */
export const serverService: LogService<Buffer> = {
  ...clientService,
  WatchAlerts: {
    ...clientService.WatchAlerts,
    responseSerialize: (bytes) => bytes,
    responseDeserialize: (bytes) => bytes,
  },
};

function isEmpty(value: unknown): boolean {
  return value === undefined || value === "" || value === 0 || (Array.isArray(value) && value.length === 0);
}

function omitEmpty<T extends object>(message: T): T {
  return Object.fromEntries(Object.entries(message).filter(([, value]) => !isEmpty(value))) as T;
}

/** Returns the alert's protobuf bytes. */
export function encodeAlert(alert: WireAlert): Buffer {
  const lean = omitEmpty(alert);
  if (lean.Owner) lean.Owner = omitEmpty(lean.Owner);
  if (lean.ExecEvent) lean.ExecEvent = omitEmpty(lean.ExecEvent);
  return clientService.WatchAlerts.responseSerialize(lean);
}

/** Returns the alert in the bytes; fields that are not on the wire are absent. Throws on bytes that are not protobuf. */
export function decodeAlert(bytes: Buffer): WireAlert {
  return clientService.WatchAlerts.responseDeserialize(bytes);
}

/** An alert encoded once, to be sent many times with another time and other process ids. */
export interface AlertTemplate {
  /** Returns the message for `us` (microseconds since the epoch) and `pid` (positive), as restamp() would have it. */
  stamped(us: number, pid: number): Buffer;
}

// Field numbers in proto/kubearmor.proto, shifted left over the wire type (0 varint, 2 length-delimited).
const TIMESTAMP_TAG = 1 << 3;
const UPDATED_TIME_TAG = (2 << 3) | 2;
const HOST_PID_TAG = 9 << 3;
const PID_TAG = 11 << 3;

function writeVarint(target: Buffer, offset: number, value: number): number {
  let rest = value;
  let at = offset;
  while (rest >= 0x80) {
    target[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  target[at++] = rest;
  return at;
}

/** Encodes everything but times and process ids once; protobuf lets the rest follow in any order. */
export function createAlertTemplate(alert: WireAlert): AlertTemplate {
  const { Timestamp: _s, UpdatedTime: _t, HostPID = 0, PID = 0, ...constant } = alert;
  const fixed = encodeAlert(constant);
  // Tag and at most 10 bytes for each of three varints, 2 + 27 bytes for the time.
  const room = Buffer.alloc(64);
  return {
    stamped(us, pid) {
      room[0] = TIMESTAMP_TAG;
      let end = writeVarint(room, 1, Math.floor(us / 1e6));
      const time = formatUpdatedTime(us);
      room[end++] = UPDATED_TIME_TAG;
      room[end++] = time.length;
      end += room.write(time, end, "latin1");
      if (HostPID > 0) {
        room[end++] = HOST_PID_TAG;
        end = writeVarint(room, end, pid);
      }
      if (PID > 0) {
        room[end++] = PID_TAG;
        end = writeVarint(room, end, pid);
      }
      return Buffer.concat([fixed, room.subarray(0, end)]);
    },
  };
}
