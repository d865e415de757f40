// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// KubeArmor's alert message as this project takes it in: the input contract, in KubeArmor's own spelling.
// Invariant: nothing past ingest/decode.ts knows these names.

/** One alert of `feeder.LogService/WatchAlerts`. */
export type Alert = ReturnType<typeof emptyAlert>;

/**
 * Returns an alert with every field empty; the readers fill in what their input holds.
 *
 * On the wire an absent field and an empty one are the same, so absence is `""`, `0` or an empty list here.
 * Field names and meanings: KubeArmor's protobuf/kubearmor.proto, message Alert.
 */
export function emptyAlert() {
  return {
    /** Unix seconds on the node's clock; 0 when absent. */
    Timestamp: 0,
    /** The same instant as RFC 3339 with microseconds; despite its name the time of the event. */
    UpdatedTime: "",
    ClusterName: "",
    HostName: "",
    NamespaceName: "",
    OwnerRef: "",
    OwnerName: "",
    OwnerNamespace: "",
    PodName: "",
    Labels: "",
    ContainerID: "",
    ContainerName: "",
    ContainerImage: "",
    HostPPID: 0,
    HostPID: 0,
    PPID: 0,
    PID: 0,
    UID: 0,
    UserName: "",
    ParentProcessName: "",
    ProcessName: "",
    PolicyName: "",
    Severity: "",
    /** Comma-joined policy tags. */
    Tags: "",
    ATags: [] as readonly string[],
    Message: "",
    Type: "",
    Source: "",
    Operation: "",
    Resource: "",
    Data: "",
    Enforcer: "",
    Action: "",
    Result: "",
    Cwd: "",
    TTY: "",
    /** Set on throttle notices only: alerts per second that tripped the limit. */
    MaxAlertsPerSec: 0,
    /** Set on throttle notices only: seconds for which KubeArmor throttles the container. */
    DroppingAlertsInterval: 0,
    ExecID: "",
    ExecutableName: "",
    KubeArmorVersion: "",
    NodeID: "",
    ProcessHash: "",
    ParentHash: "",
    ResourceHash: "",
    HashAlgo: "",
  };
}

/** Parts of a message: start and end by turns, in the order of the message. */
export interface Pieces {
  readonly places: Int32Array;
  /** Numbers of `places` that count. */
  length: number;
}

/**
 * A sound alert in wire format of which only the places of its fields are known. It is the reader's own and holds
 * another alert as soon as the listener returns. Each piece holds whole fields, with number and length.
 */
export interface RawAlert {
  readonly bytes: Uint8Array;
  /** The fields that say who broke which rule: node, pod, container, owner, policy. Many alerts share them. */
  readonly subject: Pieces;
  /** The other fields that decide the violation. Alerts with equal bytes in both differ in time and evidence only. */
  readonly deciding: Pieces;
  /** The fields that hardly change while a container runs: image, labels, ids. */
  readonly container: Pieces;
  /** The other known fields but for the time. */
  readonly own: Pieces;
  /** Unix seconds; 0 when absent. */
  readonly timestamp: number;
  /** The text of UpdatedTime; the same place twice when absent. */
  readonly timeStart: number;
  readonly timeEnd: number;
  /** Reads a message that was sound once, this one or its pieces in any order of the four groups. */
  read(bytes: Uint8Array): Alert;
}
