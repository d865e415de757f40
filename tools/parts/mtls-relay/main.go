// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A relay with mutual TLS as KubeArmor's Go programs have it: crypto/tls with RequireAndVerifyClientCert under grpc-go.
// Every call is handed on to a plaintext server behind it, untouched. `issue` makes certificates with crypto/x509.
//
//	mtls-relay serve -listen 127.0.0.1:0 -backend HOST:PORT -dir DIR   (ca.crt, server.crt, server.key; without -dir: plaintext)
//	mtls-relay issue < specs.json > certificates.json
//
// Like KubeArmor's relay it reads its certificates once, at the start.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
)

// untouched is a codec that leaves messages as they are.
type untouched struct{}

func (untouched) Name() string { return "proto" }

func (untouched) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (untouched) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("usage: mtls-relay serve|issue"))
	}
	var err error
	switch os.Args[1] {
	case "serve":
		err = serve(os.Args[2:])
	case "issue":
		err = issueAll(os.Stdin, os.Stdout)
	default:
		err = fmt.Errorf("no command %q", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "where to listen")
	backend := flags.String("backend", "", "the server behind")
	dir := flags.String("dir", "", "folder of ca.crt, server.crt and server.key; empty: plaintext")
	if err := flags.Parse(args); err != nil {
		return err
	}
	behind, err := grpc.NewClient("passthrough:///"+*backend,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(untouched{})))
	if err != nil {
		return err
	}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(untouched{}),
		grpc.UnknownServiceHandler(handOnTo(behind)),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 5 * time.Second}),
	}
	if *dir != "" {
		config, err := mutualTLS(*dir)
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := grpc.NewServer(options...)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		server.Stop()
	}()
	fmt.Printf("{\"listening\":%q}\n", listener.Addr().String())
	return server.Serve(listener)
}

func mutualTLS(dir string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(ca) {
		return nil, errors.New("ca.crt holds no certificate")
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    clients,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}, nil
}

// handOnTo opens the same call on the server behind and joins the two.
func handOnTo(behind *grpc.ClientConn) grpc.StreamHandler {
	return func(_ any, front grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(front)
		ctx, cancel := context.WithCancel(front.Context())
		defer cancel()
		back, err := grpc.NewClientStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, behind, method)
		if err != nil {
			return err
		}
		go func() {
			var message []byte
			for front.RecvMsg(&message) == nil {
				if back.SendMsg(&message) != nil {
					return
				}
			}
			_ = back.CloseSend()
		}()
		for {
			var message []byte
			if err := back.RecvMsg(&message); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := front.SendMsg(&message); err != nil {
				return err
			}
		}
	}
}

func writeJSON(to io.Writer, value any) error { return json.NewEncoder(to).Encode(value) }
