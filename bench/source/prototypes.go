// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

package main

// The alerts that a benchmark sends: one of an exec that was blocked, one of a file that was read though the policy
// only audits it, one of a connection that was blocked. All fields that KubeArmor 1.6 fills for a container are there.
func prototypes() []fields {
	exec := common()
	exec[operation], exec[action], exec[result], exec[enforcer] = "Process", "Block", "Permission denied", "BPFLSM"
	exec[source], exec[parentProcessName] = "/bin/bash", "/bin/bash"
	exec[processName] = "/usr/bin/tool-RRRR"
	exec[resource] = "/usr/bin/tool-RRRR update --quiet"
	exec[data] = "lsm=SECURITY_BPRM_CHECK"
	exec[eventData] = map[string]string{"Lsm": "SECURITY_BPRM_CHECK"}

	file := common()
	file[operation], file[action], file[result], file[enforcer] = "File", "Audit", "Passed", "eBPF Monitor"
	file[source], file[parentProcessName], file[processName] = "/bin/cat /etc/app/RRRR/key.pem", "/bin/bash", "/bin/cat"
	file[resource] = "/etc/app/RRRR/key.pem"
	file[data] = "syscall=SYS_OPENAT flags=O_RDONLY"
	file[eventData] = map[string]string{"Syscall": "SYS_OPENAT", "Flags": "O_RDONLY"}

	network := common()
	network[operation], network[action], network[result], network[enforcer] = "Network", "Block", "Permission denied", "BPFLSM"
	network[source], network[parentProcessName], network[processName] = "/usr/bin/curl", "/bin/bash", "/usr/bin/curl"
	network[resource] = "RRRR.example.com"
	network[data] = "lsm=SOCKET_SENDMSG domain=RRRR.example.com"
	network[eventData] = map[string]string{"Lsm": "SOCKET_SENDMSG"}
	return []fields{exec, file, network}
}

func common() fields {
	return fields{
		timestamp:        1767225600,
		updatedTime:      timeText,
		clusterName:      "default",
		hostName:         "node-HHHH",
		nodeID:           "3f9d7b5e1a2c4860",
		namespaceName:    "team-NNNN",
		podName:          "app-PPPP-7f9c6d5b8-DDDDD",
		owner:            fields{1: "Deployment", 2: "app-PPPP", 3: "team-NNNN"},
		labels:           "app=app-PPPP,tier=backend",
		containerID:      "b0a1d2c3e4f5968778695a4b3c2d1e0fb0a1d2c3e4f5968778695a4bCCCCCCCC",
		containerName:    "main",
		containerImage:   "registry.example.com/team/app:v1.42.0",
		hostPPID:         hostParentMark,
		hostPID:          hostProcessMark,
		ppid:             parentMark,
		pid:              processMark,
		uid:              1000,
		policyName:       "harden-app-PPPP",
		severity:         "5",
		tags:             "NIST,SI-4",
		aTags:            []string{"NIST", "SI-4"},
		message:          "Alert! Hardening rule of the app was broken",
		alertType:        "MatchedPolicy",
		cwd:              "/",
		execEvent:        fields{1: "0", 2: "bash"},
		kubeArmorVersion: "v1.6.14",
	}
}
