// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

package main

import (
	"bytes"
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// logService is feeder.LogService, as far as a reader of alerts needs it.
var logService = grpc.ServiceDesc{
	ServiceName: "feeder.LogService",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "HealthCheck", Handler: healthCheck}},
	Streams:     []grpc.StreamDesc{{StreamName: "WatchAlerts", Handler: watchAlerts, ServerStreams: true}},
}

// healthCheck gives the nonce back: request and reply have it in field 1.
func healthCheck(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var nonce []byte
	err := decode(&nonce)
	return nonce, err
}

// watchAlerts refuses a filter as KubeArmor does: with an end that looks well.
func watchAlerts(s any, stream grpc.ServerStream) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	for _, filter := range []string{"policy", "all"} {
		if bytes.Equal(request, encode(fields{1: filter})) {
			return s.(*server).watch(stream)
		}
	}
	return nil
}

// rawCodec takes and gives bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(value any) (mem.BufferSlice, error) {
	if v, isBytes := value.([]byte); isBytes {
		return mem.BufferSlice{mem.SliceBuffer(v)}, nil
	}
	return nil, fmt.Errorf("%T: no bytes", value)
}

func (rawCodec) Unmarshal(data mem.BufferSlice, value any) error {
	switch v := value.(type) {
	case *int:
		*v = data.Len()
	case *[]byte:
		*v = data.Materialize()
	default:
		return fmt.Errorf("%T: neither a length nor bytes", value)
	}
	return nil
}
