// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

package main

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields is a protobuf message: strings, integers and messages by their number.
type fields map[protowire.Number]any

// Numbers of KubeArmor's Alert, as in proto/kubearmor.proto.
const (
	timestamp         = 1
	updatedTime       = 2
	clusterName       = 3
	hostName          = 4
	namespaceName     = 5
	podName           = 6
	containerID       = 7
	containerName     = 8
	hostPID           = 9
	ppid              = 10
	pid               = 11
	uid               = 12
	policyName        = 13
	severity          = 14
	tags              = 15
	message           = 16
	alertType         = 17
	source            = 18
	operation         = 19
	resource          = 20
	data              = 21
	action            = 22
	result            = 23
	containerImage    = 24
	parentProcessName = 25
	processName       = 26
	hostPPID          = 27
	enforcer          = 28
	labels            = 29
	aTags             = 30
	owner             = 31
	cwd               = 32
	execEvent         = 36
	kubeArmorVersion  = 37
	nodeID            = 38
	eventData         = 43
)

// encode writes the fields in the order of their numbers, as generated code does.
func encode(message fields) []byte {
	var out []byte
	for _, number := range slices.Sorted(maps.Keys(message)) {
		switch v := message[number].(type) {
		case int:
			out = protowire.AppendTag(out, number, protowire.VarintType)
			out = protowire.AppendVarint(out, uint64(v))
		case string:
			out = appendBytes(out, number, []byte(v))
		case []string:
			for _, each := range v {
				out = appendBytes(out, number, []byte(each))
			}
		case fields:
			out = appendBytes(out, number, encode(v))
		case map[string]string:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				out = appendBytes(out, number, encode(fields{1: key, 2: v[key]}))
			}
		default:
			panic(fmt.Sprintf("field %d: %T", number, v))
		}
	}
	return out
}

func appendBytes(out []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), value)
}
