// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Command alert-source is the other end of the stream for the benchmark: with `serve` a server that sends alerts as
// KubeArmor does (the same gRPC library, a queue of 1,000 for each client) and faster than a client can read, with
// `read` a client that takes them.
//
// Invariant: standard input is told one JSON object a line and standard output answers so; when standard input ends,
// so does the program, and it never lives longer than -max-time.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: alert-source serve|read [flags]"))
	}
	var err error
	switch os.Args[1] {
	case "serve":
		err = serve(os.Args[2:])
	case "read":
		err = read(os.Args[2:])
	default:
		err = fmt.Errorf("%s: neither serve nor read", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "alert-source:", err)
	os.Exit(1)
}

var out sync.Mutex

// say prints one line.
func say(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		fail(err)
	}
	out.Lock()
	defer out.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

// obey calls act for each line of standard input, and returns at its end.
func obey[T any](act func(T) error) error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var command T
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			return fmt.Errorf("%q: %w", lines.Text(), err)
		}
		if err := act(command); err != nil {
			return err
		}
	}
	return lines.Err()
}

// endAfter ends the program when the time is over: whoever started it has forgotten it.
func endAfter(limit time.Duration) {
	time.AfterFunc(limit, func() { fail(fmt.Errorf("still running after %s", limit)) })
}

// cpu gives the time that this process has computed, in user and kernel mode.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
