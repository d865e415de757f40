// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

package main

import (
	"flag"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// queueSize is the length of KubeArmor's queue for each client (feeder.go, in the relay and in the daemon).
const queueSize = 1000

// sendCommand asks for alerts to every client that watches now.
type sendCommand struct {
	// Send is how many alerts each client is offered.
	Send int `json:"send"`
	// Rate is how many a second; 0 for as many as can be.
	Rate  float64 `json:"rate"`
	Order order   `json:"order"`
	// FreshEvery makes every n-th alert one of a violation that was never seen before; 0 for none.
	FreshEvery int `json:"freshEvery"`
	// Drop puts the alerts into each client's queue, and drops what finds it full, as KubeArmor does. Without it the
	// client is waited for.
	Drop bool `json:"drop"`
}

// sentLine answers a sendCommand when nothing is queued any more.
type sentLine struct {
	Offered   int64   `json:"offered"`
	Sent      int64   `json:"sent"`
	Dropped   int64   `json:"dropped"`
	ElapsedMs float64 `json:"elapsedMs"`
	CPUMs     float64 `json:"cpuMs"`
}

type server struct {
	alerts  *alerts
	mutex   sync.Mutex
	clients map[*client]bool
	left    atomic.Int64
}

// client is one stream.
type client struct {
	stream grpc.ServerStream
	queue  chan []byte
	jobs   chan func(*client) error
	// sent and dropped count the alerts of the command in force.
	sent, dropped atomic.Int64
}

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	address := flags.String("listen", "127.0.0.1:0", "HOST:PORT")
	limit := flags.Duration("max-time", 30*time.Minute, "the longest life of the process")
	space := keySpace{}
	flags.IntVar(&space.reports, "reports", 100, "policies with violations")
	flags.IntVar(&space.violations, "violations", 10, "violations of each policy")
	flags.IntVar(&space.pods, "pods", 3, "pods that do each")
	flags.IntVar(&space.namespaces, "namespaces", 10, "namespaces that the policies are spread over")
	flags.IntVar(&space.nodes, "nodes", 20, "nodes that the pods are spread over")
	daemon := flags.Bool("daemon", false, "send pings as KubeArmor's daemon does, not as its relay")
	authority := flags.String("tls", "", "folder of ca.crt and ca.key for mutual TLS; empty: plaintext")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if min(space.reports, space.violations, space.pods, space.namespaces, space.nodes) < 1 || space.size() < 2 {
		return fmt.Errorf("there must be at least two keys, and one of each kind: %+v", space)
	}
	endAfter(*limit)
	alerts, err := newAlerts(space)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	s := &server{alerts: alerts, clients: map[*client]bool{}}
	pings := keepalive.ServerParameters{Time: 5 * time.Second, Timeout: 20 * time.Second}
	if *daemon {
		pings = keepalive.ServerParameters{Time: time.Second, Timeout: 5 * time.Second}
	}
	options := []grpc.ServerOption{grpc.ForceServerCodecV2(rawCodec{}), grpc.KeepaliveParams(pings)}
	if *authority != "" {
		secured, err := daemonCredentials(*authority)
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(secured))
	}
	grpcServer := grpc.NewServer(options...)
	grpcServer.RegisterService(&logService, s)
	failed := make(chan error, 1)
	go func() { failed <- grpcServer.Serve(listener) }()
	say(map[string]any{
		"listening": listener.Addr().String(), "keys": space.size(), "alertBytes": s.averageBytes(),
	})
	go func() { failed <- obey(s.send) }()
	return <-failed
}

func (s *server) averageBytes() int {
	total := 0
	for _, shape := range s.alerts.shapes {
		total += len(shape.bytes)
	}
	return total / len(s.alerts.shapes)
}

// send does what the command asks for, and answers when it is done or every client has gone.
func (s *server) send(command sendCommand) error {
	clients := s.watching()
	for _, c := range clients {
		c.sent.Store(0)
		c.dropped.Store(0)
	}
	offered := int64(command.Send) * int64(len(clients))
	cpuBefore, start := cpu(), time.Now()
	if command.Drop {
		s.offer(clients, command)
	} else {
		s.waitFor(clients, command)
	}
	answer := sentLine{Offered: offered}
	answer.ElapsedMs, answer.CPUMs = milliseconds(time.Since(start)), milliseconds(cpu()-cpuBefore)
	for _, c := range clients {
		answer.Sent += c.sent.Load()
		answer.Dropped += c.dropped.Load()
	}
	say(answer)
	return nil
}

// waitFor makes every alert where it is sent, so that no queue lies between. With several clients they take turns in
// the making, and each gets all of them.
func (s *server) waitFor(clients []*client, command sendCommand) {
	var making sync.Mutex
	var done sync.WaitGroup
	for _, c := range clients {
		done.Add(1)
		job := func(c *client) error {
			defer done.Done()
			return s.produce(command, func(k key) error {
				making.Lock()
				bytes := s.alerts.next(k)
				making.Unlock()
				if err := c.stream.SendMsg(bytes); err != nil {
					return err
				}
				c.sent.Add(1)
				return nil
			})
		}
		select {
		case c.jobs <- job:
		case <-c.stream.Context().Done():
			done.Done()
		}
	}
	done.Wait()
}

// offer puts every alert into each queue that has room, and waits until the queues are empty.
func (s *server) offer(clients []*client, command sendCommand) {
	_ = s.produce(command, func(k key) error {
		bytes := s.alerts.next(k)
		for _, c := range clients {
			select {
			case c.queue <- bytes:
			default:
				c.dropped.Add(1)
			}
		}
		return nil
	})
	for _, c := range clients {
		for c.stream.Context().Err() == nil && c.sent.Load()+c.dropped.Load() < int64(command.Send) {
			time.Sleep(time.Millisecond)
		}
	}
}

// produce calls emit for every alert of the command, at its rate.
func (s *server) produce(command sendCommand, emit func(key) error) error {
	start := time.Now()
	for n := 0; n < command.Send; {
		due := command.Send
		if command.Rate > 0 {
			due = min(due, int(time.Since(start).Seconds()*command.Rate)+1)
		}
		for ; n < due; n++ {
			k := s.alerts.key(command.Order, n)
			if command.FreshEvery > 0 && n%command.FreshEvery == command.FreshEvery-1 {
				k = s.alerts.freshKey()
			}
			if err := emit(k); err != nil {
				return err
			}
		}
		if n < command.Send {
			time.Sleep(500 * time.Microsecond)
		}
	}
	return nil
}

func (s *server) watching() []*client {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var all []*client
	for c := range s.clients {
		all = append(all, c)
	}
	return all
}

// watch serves one stream until the client goes.
func (s *server) watch(stream grpc.ServerStream) error {
	c := &client{stream: stream, queue: make(chan []byte, queueSize), jobs: make(chan func(*client) error)}
	s.note(c, true)
	defer s.note(c, false)
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case job := <-c.jobs:
			if err := job(c); err != nil {
				return err
			}
		case bytes := <-c.queue:
			if err := stream.SendMsg(bytes); err != nil {
				return err
			}
			c.sent.Add(1)
		}
	}
}

func (s *server) note(c *client, isThere bool) {
	s.mutex.Lock()
	if isThere {
		s.clients[c] = true
	} else {
		delete(s.clients, c)
	}
	count := len(s.clients)
	s.mutex.Unlock()
	say(map[string]any{"clients": count, "atMs": milliseconds(time.Duration(time.Now().UnixNano()))})
}
