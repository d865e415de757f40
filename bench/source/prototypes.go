// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

package main

// The alerts that a benchmark sends: one of an exec that was blocked, one of a file that was read though the policy
// only audits it, one of a connection that was blocked. All fields that KubeArmor 1.6 fills for a container are there.
func prototypes() []*Alert {
	exec := common()
	exec.Operation, exec.Action, exec.Result, exec.Enforcer = "Process", "Block", "Permission denied", "BPFLSM"
	exec.Source, exec.ParentProcessName = "/bin/bash", "/bin/bash"
	exec.ProcessName = "/usr/bin/tool-RRRR"
	exec.Resource = "/usr/bin/tool-RRRR update --quiet"
	exec.Data = "lsm=SECURITY_BPRM_CHECK"
	exec.EventData = map[string]string{"Lsm": "SECURITY_BPRM_CHECK"}

	file := common()
	file.Operation, file.Action, file.Result, file.Enforcer = "File", "Audit", "Passed", "eBPF Monitor"
	file.Source, file.ParentProcessName, file.ProcessName = "/bin/cat /etc/app/RRRR/key.pem", "/bin/bash", "/bin/cat"
	file.Resource = "/etc/app/RRRR/key.pem"
	file.Data = "syscall=SYS_OPENAT flags=O_RDONLY"
	file.EventData = map[string]string{"Syscall": "SYS_OPENAT", "Flags": "O_RDONLY"}

	network := common()
	network.Operation, network.Action, network.Result, network.Enforcer = "Network", "Block", "Permission denied", "BPFLSM"
	network.Source, network.ParentProcessName, network.ProcessName = "/usr/bin/curl", "/bin/bash", "/usr/bin/curl"
	network.Resource = "RRRR.example.com"
	network.Data = "lsm=SOCKET_SENDMSG domain=RRRR.example.com"
	network.EventData = map[string]string{"Lsm": "SOCKET_SENDMSG"}
	return []*Alert{exec, file, network}
}

func common() *Alert {
	return &Alert{
		Timestamp:        1767225600,
		UpdatedTime:      timeText,
		ClusterName:      "default",
		HostName:         "node-HHHH",
		NodeID:           "3f9d7b5e1a2c4860",
		NamespaceName:    "team-NNNN",
		PodName:          "app-PPPP-7f9c6d5b8-DDDDD",
		Owner:            &Podowner{Ref: "Deployment", Name: "app-PPPP", Namespace: "team-NNNN"},
		Labels:           "app=app-PPPP,tier=backend",
		ContainerID:      "b0a1d2c3e4f5968778695a4b3c2d1e0fb0a1d2c3e4f5968778695a4bCCCCCCCC",
		ContainerName:    "main",
		ContainerImage:   "registry.example.com/team/app:v1.42.0",
		HostPPID:         hostParentMark,
		HostPID:          hostProcessMark,
		PPID:             parentMark,
		PID:              processMark,
		UID:              1000,
		PolicyName:       "harden-app-PPPP",
		Severity:         "5",
		Tags:             "NIST,SI-4",
		ATags:            []string{"NIST", "SI-4"},
		Message:          "Alert! Hardening rule of the app was broken",
		Type:             "MatchedPolicy",
		Cwd:              "/",
		ExecEvent:        &ExecEvent{ExecID: "0", ExecutableName: "bash"},
		KubeArmorVersion: "v1.6.14",
	}
}
