package main

import (
	"fmt"
	"strings"
	"time"

	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/credentialfetcher/plugin"
	"istio.io/istio/security/pkg/nodeagent/caclient/providers/citadel"
	"istio.io/istio/security/pkg/pki/util"
)

// sign asks an authority for a certificate as the agent beside an Istio proxy does, and prints the chain.
func sign(endpoint, roots, token, identity string) error {
	client, err := citadel.NewCitadelClient(&security.Options{
		CAEndpoint:  endpoint,
		ClusterID:   "Kubernetes",
		CredFetcher: plugin.CreateTokenPlugin(token),
	}, &citadel.TLSOptions{RootCert: roots})
	if err != nil {
		return err
	}
	defer client.Close()
	request, _, err := util.GenCSR(util.CertOptions{Host: identity, ECSigAlg: util.EcdsaSigAlg})
	if err != nil {
		return err
	}
	chain, err := client.CSRSign(request, int64(time.Hour/time.Second))
	if err != nil {
		return err
	}
	fmt.Print(strings.Join(chain, ""))
	return nil
}
