// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// KubeArmor's alert message as this project takes it in: the input contract, in KubeArmor's own spelling.
// Invariant: nothing past core/decode.ts knows these names.

/**
 * One alert of `feeder.LogService/WatchAlerts`, every field present.
 *
 * On the wire an absent field and an empty one are the same, so absence is `""`, `0` or an empty list here.
 * Field names and meanings: KubeArmor's protobuf/kubearmor.proto, message Alert.
 */
export interface Alert {
  /** Unix seconds on the node's clock; 0 when absent. */
  Timestamp: number;
  /** The same instant as RFC 3339 with microseconds; despite its name the time of the event. */
  UpdatedTime: string;
  ClusterName: string;
  HostName: string;
  NamespaceName: string;
  OwnerRef: string;
  OwnerName: string;
  OwnerNamespace: string;
  PodName: string;
  Labels: string;
  ContainerID: string;
  ContainerName: string;
  ContainerImage: string;
  HostPPID: number;
  HostPID: number;
  PPID: number;
  PID: number;
  UID: number;
  UserName: string;
  ParentProcessName: string;
  ProcessName: string;
  PolicyName: string;
  Severity: string;
  /** Comma-joined policy tags. */
  Tags: string;
  ATags: readonly string[];
  Message: string;
  Type: string;
  Source: string;
  Operation: string;
  Resource: string;
  Data: string;
  Enforcer: string;
  Action: string;
  Result: string;
  Cwd: string;
  TTY: string;
  /** Set on throttle notices only: alerts per second that tripped the limit. */
  MaxAlertsPerSec: number;
  /** Set on throttle notices only: seconds for which KubeArmor mutes the container. */
  DroppingAlertsInterval: number;
  ExecID: string;
  ExecutableName: string;
  KubeArmorVersion: string;
  NodeID: string;
  ProcessHash: string;
  ParentHash: string;
  ResourceHash: string;
  HashAlgo: string;
}

/**
 * An alert as it came on the wire, sound, of which only the places of its fields are known. It is the reader's own and
 * holds another alert as soon as the listener returns.
 */
export interface RawAlert {
  readonly bytes: Uint8Array;
  /**
   * Where the fields stand that decide what the alert tells (who did what, against which policy), as they come, each
   * with its number and length: start and end by turns. Alerts whose bytes are the same there differ in time, process
   * ids and evidence only.
   */
  readonly deciding: Int32Array;
  /** How many numbers of `deciding` count. */
  readonly decidingLength: number;
  /** Unix seconds; 0 when absent. */
  readonly timestamp: number;
  readonly hostPid: number;
  /** Where the text of UpdatedTime stands; the same place twice when absent. */
  readonly timeStart: number;
  readonly timeEnd: number;
  /** Where the text of ContainerID stands; the same place twice when absent. */
  readonly containerStart: number;
  readonly containerEnd: number;
  /** Reads a message that was sound once, this one or a copy of another. */
  read(bytes: Uint8Array): Alert;
}

/** Returns an alert with every field empty; the readers fill in what their input holds. */
export function emptyAlert(): Alert {
  return {
    Timestamp: 0,
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
    Tags: "",
    ATags: [],
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
    MaxAlertsPerSec: 0,
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
