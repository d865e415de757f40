// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// expectCommand asks to say when so many more alerts have come.
type expectCommand struct {
	Expect int64 `json:"expect"`
}

type receivedLine struct {
	Received int64 `json:"received"`
	// From the first of them to the last.
	ElapsedMs float64 `json:"elapsedMs"`
	CPUUs     float64 `json:"cpuUs"`
}

// reader counts; it is asked and answers in between two alerts.
type reader struct {
	asked    chan int64
	target   int64
	received int64
	start    time.Time
	startCPU time.Duration
}

func read(args []string) error {
	flags := flag.NewFlagSet("read", flag.ExitOnError)
	address := flags.String("address", "", "HOST:PORT of the server")
	limit := flags.Duration("max-time", 30*time.Minute, "the longest life of the process")
	if err := flags.Parse(args); err != nil {
		return err
	}
	endAfter(*limit)
	connection, err := grpc.NewClient(
		"passthrough:///"+*address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})),
	)
	if err != nil {
		return err
	}
	description := grpc.StreamDesc{StreamName: "WatchAlerts", ServerStreams: true}
	stream, err := connection.NewStream(context.Background(), &description, "/feeder.LogService/WatchAlerts")
	if err != nil {
		return err
	}
	if err := stream.SendMsg(encode(fields{1: "policy"})); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	r := &reader{asked: make(chan int64, 1)}
	failed := make(chan error, 2)
	go func() { failed <- r.take(stream) }()
	go func() {
		failed <- obey(func(command expectCommand) error {
			r.asked <- command.Expect
			say(map[string]any{"expecting": command.Expect})
			return nil
		})
	}()
	return <-failed
}

func (r *reader) take(stream grpc.ClientStream) error {
	for {
		var length int
		if err := stream.RecvMsg(&length); err != nil {
			return fmt.Errorf("the stream ended: %w", err)
		}
		r.count()
	}
}

func (r *reader) count() {
	if r.target == 0 {
		select {
		case r.target = <-r.asked:
			r.received, r.start, r.startCPU = 0, time.Now(), cpu()
		default:
			return
		}
	}
	r.received++
	if r.received < r.target {
		return
	}
	r.target = 0
	elapsed, used := time.Since(r.start), cpu()-r.startCPU
	say(receivedLine{r.received, milliseconds(elapsed), float64(used.Nanoseconds()) / 1e3})
}
