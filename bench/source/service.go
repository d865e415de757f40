// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

package main

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

//go:generate protoc -I ../../proto --go_out=. --go_opt=paths=source_relative "--go_opt=Mkubearmor.proto=policy-violation-operator.test/bench/source;main" kubearmor.proto

// logService is feeder.LogService, as far as a reader of alerts needs it.
var logService = grpc.ServiceDesc{
	ServiceName: "feeder.LogService",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "HealthCheck", Handler: healthCheck}},
	Streams:     []grpc.StreamDesc{{StreamName: "WatchAlerts", Handler: watchAlerts, ServerStreams: true}},
}

func healthCheck(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var nonce NonceMessage
	if err := decode(&nonce); err != nil {
		return nil, err
	}
	return &ReplyMessage{Retval: nonce.Nonce}, nil
}

// watchAlerts refuses a filter as KubeArmor does: with an end that looks well.
func watchAlerts(s any, stream grpc.ServerStream) error {
	var request RequestMessage
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	if request.Filter != "policy" && request.Filter != "all" {
		return nil
	}
	return s.(*server).watch(stream)
}

// rawCodec takes and gives bytes as they are, and protobuf messages as protobuf.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(value any) (mem.BufferSlice, error) {
	switch v := value.(type) {
	case []byte:
		return mem.BufferSlice{mem.SliceBuffer(v)}, nil
	case proto.Message:
		bytes, err := proto.Marshal(v)
		return mem.BufferSlice{mem.SliceBuffer(bytes)}, err
	}
	return nil, fmt.Errorf("%T is neither bytes nor a message", value)
}

func (rawCodec) Unmarshal(data mem.BufferSlice, value any) error {
	switch v := value.(type) {
	case *int:
		*v = data.Len()
		return nil
	case proto.Message:
		return proto.Unmarshal(data.Materialize(), v)
	}
	return fmt.Errorf("%T is neither a length nor a message", value)
}
