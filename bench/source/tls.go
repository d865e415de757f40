// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// daemonCredentials demands a client certificate and shows, at each address that is dialed, a certificate as the
// daemon of a node with that address makes it: subject and serial number of its authority, the address as its only
// name. All have one key, because keys take long to make.
func daemonCredentials(dir string) (credentials.TransportCredentials, error) {
	authority, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	clients.AddCert(authority.Leaf)
	var made sync.Map
	return credentials.NewTLS(&tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs:  clients,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String())
			if err != nil {
				return nil, err
			}
			if known, found := made.Load(host); found {
				return known.(*tls.Certificate), nil
			}
			certificate, err := issueFor(host, authority, key)
			if err == nil {
				made.Store(host, certificate)
			}
			return certificate, err
		},
	}), nil
}

func issueFor(host string, authority tls.Certificate, key *rsa.PrivateKey) (*tls.Certificate, error) {
	ip := net.ParseIP(host)
	if ip == nil {
		return nil, fmt.Errorf("%s: no IP address", host)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "kubearmor", Organization: []string{"kubearmor"}},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IPAddresses:           []net.IP{ip},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, &key.PublicKey, authority.PrivateKey)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
