package main

import (
	"crypto/x509"
	"fmt"
	"os"
)

// rootsFromEnvironment reads the authorities that Go itself would read; pion's DTLS does not.
func rootsFromEnvironment() (*x509.CertPool, error) {
	file := os.Getenv("SSL_CERT_FILE")
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", file)
	}
	return roots, nil
}
