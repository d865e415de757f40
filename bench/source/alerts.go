// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// keySpace says which alerts there are: each of reports × violations × pods is a key.
type keySpace struct {
	reports, violations, pods, namespaces, nodes int
}

func (s keySpace) size() int { return s.reports * s.violations * s.pods }

// key is what an alert is about: violation `violation` of report `report`, done in pod `pod` of its workload.
type key struct{ report, violation, pod int }

// at gives the key of a number below size(). Neighbours are in different reports, so that the frequent keys of a Zipf
// distribution, which are the low numbers, are spread over all of them.
func (s keySpace) at(i int) key {
	return key{i % s.reports, i / s.reports % s.violations, i / s.reports / s.violations % s.pods}
}

// Marks in a shape's text. No other text has three capitals of a kind in a row.
const (
	policyMark    = "PPPP"
	namespaceMark = "NNNN"
	podMark       = "DDDDD"
	nodeMark      = "HHHH"
	resourceMark  = "RRRR"
	containerMark = "CCCCCCCC"
)

// Numbers that stand for process ids; each takes three bytes as a varint, as do those that replace them.
const (
	hostParentMark = 1900001 + iota
	hostProcessMark
	parentMark
	processMark
)

const (
	firstPid = 65536
	pidCount = 1900000
	timeText = "2006-01-02T15:04:05.000000Z"
)

// shape is an alert encoded once, and where in it stands what changes from one alert to the next.
type shape struct {
	bytes                                             []byte
	policy, namespace, pod, node, resource, container []int
	seconds, updated, hostPpid, hostPid, ppid, pid    int
}

// alerts makes the bytes of alerts. Every alert has another time, later than the one before, and other process ids.
type alerts struct {
	space   keySpace
	shapes  []shape
	zipf    []uint32
	made    uint64
	fresh   int
	lastUs  int64
	second  int64
	updated [len(timeText)]byte
	slab    []byte
}

const (
	zipfExponent = 1.1
	zipfLength   = 1 << 20
	slabBytes    = 64 << 10
)

func newAlerts(space keySpace) (*alerts, error) {
	a := &alerts{space: space}
	for _, alert := range prototypes() {
		shape, err := shapeOf(alert)
		if err != nil {
			return nil, err
		}
		a.shapes = append(a.shapes, shape)
	}
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, zipfExponent, 1, uint64(space.size()-1))
	a.zipf = make([]uint32, zipfLength)
	for i := range a.zipf {
		a.zipf[i] = uint32(zipf.Uint64())
	}
	return a, nil
}

// order says which key the n-th alert of a command has.
type order string

const (
	// sweep takes every key in turn.
	sweep order = "sweep"
	// zipf takes key k with a frequency that falls with its number.
	zipfOrder order = "zipf"
)

func (a *alerts) key(by order, n int) key {
	if by == sweep {
		return a.space.at(n % a.space.size())
	}
	return a.space.at(int(a.zipf[n%zipfLength]))
}

// freshKey gives a violation that was never seen before.
func (a *alerts) freshKey() key {
	a.fresh++
	report, round := a.fresh%a.space.reports, a.fresh/a.space.reports
	return key{report, a.space.violations + round, 0}
}

// next gives the bytes of one alert; they are not used again.
func (a *alerts) next(k key) []byte {
	shape := &a.shapes[k.violation%len(a.shapes)]
	bytes := a.room(len(shape.bytes))
	copy(bytes, shape.bytes)
	letters(bytes, shape.policy, len(policyMark), k.report)
	letters(bytes, shape.namespace, len(namespaceMark), k.report%a.space.namespaces)
	letters(bytes, shape.resource, len(resourceMark), k.violation)
	letters(bytes, shape.pod, len(podMark), k.pod)
	instance := k.report*a.space.pods + k.pod
	letters(bytes, shape.node, len(nodeMark), instance%a.space.nodes)
	for _, at := range shape.container {
		hexDigits(bytes[at:at+len(containerMark)], uint32(instance))
	}
	a.stamp(bytes, shape)
	return bytes
}

func (a *alerts) stamp(bytes []byte, shape *shape) {
	us := max(a.lastUs+1, time.Now().UnixMicro())
	a.lastUs = us
	if us/1e6 != a.second {
		a.second = us / 1e6
		copy(a.updated[:], time.Unix(a.second, 0).UTC().Format(timeText))
	}
	rest := us % 1e6
	for i := len(timeText) - 2; i > len(timeText)-8; i-- {
		a.updated[i] = byte('0' + rest%10)
		rest /= 10
	}
	binary.PutUvarint(bytes[shape.seconds:], uint64(a.second))
	copy(bytes[shape.updated:], a.updated[:])
	pid := firstPid + a.made*7%pidCount
	a.made++
	for i, at := range [...]int{shape.hostPpid, shape.hostPid, shape.ppid, shape.pid} {
		binary.PutUvarint(bytes[at:], pid+uint64(i))
	}
}

// room cuts the next bytes from a larger piece: one allocation for a hundred alerts.
func (a *alerts) room(length int) []byte {
	if len(a.slab) < length {
		a.slab = make([]byte, slabBytes)
	}
	room := a.slab[:length:length]
	a.slab = a.slab[length:]
	return room
}

func letters(bytes []byte, places []int, width, number int) {
	for _, at := range places {
		for i, rest := width-1, number; i >= 0; i-- {
			bytes[at+i] = byte('a' + rest%26)
			rest /= 26
		}
	}
}

func hexDigits(bytes []byte, number uint32) {
	for i := len(bytes) - 1; i >= 0; i-- {
		bytes[i] = "0123456789abcdef"[number&15]
		number >>= 4
	}
}

func shapeOf(alert fields) (shape, error) {
	encoded := encode(alert)
	s := shape{bytes: encoded}
	for mark, places := range map[string]*[]int{
		policyMark: &s.policy, namespaceMark: &s.namespace, podMark: &s.pod,
		nodeMark: &s.node, resourceMark: &s.resource, containerMark: &s.container,
	} {
		*places = indexAll(encoded, []byte(mark))
		if len(*places) == 0 {
			return shape{}, fmt.Errorf("no %s in the alert", mark)
		}
	}
	s.seconds = bytes.Index(encoded, binary.AppendUvarint([]byte{1 << 3}, uint64(alert[timestamp].(int)))) + 1
	s.updated = bytes.Index(encoded, []byte(timeText))
	for mark, place := range map[uint64]*int{
		hostParentMark: &s.hostPpid, hostProcessMark: &s.hostPid, parentMark: &s.ppid, processMark: &s.pid,
	} {
		*place = bytes.Index(encoded, binary.AppendUvarint(nil, mark))
	}
	for _, place := range []int{s.seconds - 1, s.updated, s.hostPpid, s.hostPid, s.ppid, s.pid} {
		if place < 0 {
			return shape{}, fmt.Errorf("a number is not where it should be in %x", encoded)
		}
	}
	return s, nil
}

func indexAll(text, mark []byte) []int {
	var places []int
	for at := 0; ; {
		found := bytes.Index(text[at:], mark)
		if found < 0 {
			return places
		}
		places = append(places, at+found)
		at += found + len(mark)
	}
}
