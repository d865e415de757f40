// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

// spec is one certificate to be made. Dates are relative to now, in hours.
type spec struct {
	Name         string   `json:"name"`
	Issuer       string   `json:"issuer"` // the name of an earlier one; empty: itself
	CommonName   string   `json:"commonName"`
	Organization string   `json:"organization"`
	Serial       int64    `json:"serial"`
	IsCA         bool     `json:"isCA"`
	DNS          []string `json:"dns"`
	IPs          []string `json:"ips"`
	Usage        string   `json:"usage"` // server, client or none
	FromHours    float64  `json:"fromHours"`
	ToHours      float64  `json:"toHours"`
	// KubeArmor's operator signs its CA certificate with a key that it then throws away.
	SignedByLostKey bool `json:"signedByLostKey"`
}

type pair struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

type issued struct {
	parsed *x509.Certificate
	key    *rsa.PrivateKey
}

func issueAll(from io.Reader, to io.Writer) error {
	var specs []spec
	if err := json.NewDecoder(from).Decode(&specs); err != nil {
		return err
	}
	made := map[string]issued{}
	pairs := map[string]pair{}
	for _, each := range specs {
		one, der, err := issue(each, made)
		if err != nil {
			return fmt.Errorf("%s: %w", each.Name, err)
		}
		made[each.Name] = one
		pairs[each.Name] = pair{
			Cert: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
			Key: string(pem.EncodeToMemory(&pem.Block{
				Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(one.key),
			})),
		}
	}
	return writeJSON(to, pairs)
}

func issue(each spec, made map[string]issued) (issued, []byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return issued{}, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(max(each.Serial, 1)),
		Subject:               pkix.Name{CommonName: each.CommonName},
		NotBefore:             now.Add(time.Duration(each.FromHours * float64(time.Hour))),
		NotAfter:              now.Add(time.Duration(each.ToHours * float64(time.Hour))),
		KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
		IsCA:                  each.IsCA,
		BasicConstraintsValid: true,
		DNSNames:              each.DNS,
	}
	if each.Organization != "" {
		template.Subject.Organization = []string{each.Organization}
	}
	if each.IsCA {
		template.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	switch each.Usage {
	case "server":
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	case "client":
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	for _, ip := range each.IPs {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	parent, signer := template, key
	if each.Issuer != "" {
		by, found := made[each.Issuer]
		if !found {
			return issued{}, nil, fmt.Errorf("no issuer %q", each.Issuer)
		}
		parent, signer = by.parsed, by.key
	} else if each.SignedByLostKey {
		if signer, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return issued{}, nil, err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return issued{}, nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	return issued{parsed, key}, der, err
}
