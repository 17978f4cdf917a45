// A real istiod without a cluster: Istio's own control plane over a folder of Kubernetes manifests.
//
//	ROOT_CA_DIR=AUTHORITY istiodpeer FOLDER ADDRESS
//	istiodpeer sign ADDRESS:PORT ROOTS TOKEN IDENTITY
//
// Discovery and certificates over TLS are on ADDRESS:15012, discovery in the clear on :15010, debug pages on :15014,
// and /ready on :8080. Edits of FOLDER are followed. AUTHORITY holds what an operator plugs in: root-cert.pem,
// ca-cert.pem, ca-key.pem, cert-chain.pem. The cluster is a fake one in this process (cluster.go); it believes every
// token (tokens.go). `sign` is the other side: Istio's agent asks an authority for a certificate (agent.go). This is a
// judge for tests, and nothing else.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"unsafe"

	"istio.io/istio/pilot/pkg/bootstrap"
	"istio.io/istio/pkg/kube"
)

// Istio reads these when its packages are initialized, before main: see withSettings.
var settings = map[string]string{
	"PILOT_ENABLE_AMBIENT":     "true",
	"CA_TRUSTED_NODE_ACCOUNTS": "istio-system/ztunnel", // as Istio's chart has it
	"POD_NAMESPACE":            "istio-system",
	"POD_NAME":                 "istiod-peer",
	"PILOT_DEBOUNCE_AFTER":     "10ms",
	// Gateways keep the addresses that their manifests give them; nothing is deployed.
	"PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
	"PILOT_ENABLE_GATEWAY_API_STATUS":                "false",
	"AMBIENT_ENABLE_STATUS":                          "false",
}

func main() {
	if len(os.Args) == 6 && os.Args[1] == "sign" {
		if err := sign(os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
			fail("%v", err)
		}
		return
	}
	if len(os.Args) != 3 {
		fail("usage: %s FOLDER ADDRESS, or sign ADDRESS:PORT ROOTS TOKEN IDENTITY", os.Args[0])
	}
	folder, address := os.Args[1], os.Args[2]
	withSettings(address)
	if err := run(folder, address); err != nil {
		fail("%v", err)
	}
}

// withSettings starts the program again with the settings in its environment, unless they are there.
func withSettings(address string) {
	const mark = "ISTIOD_CUSTOM_HOST" // a further name in the certificate of 15012
	if os.Getenv(mark) == address {
		return
	}
	environment := append(os.Environ(), mark+"="+address)
	for name, value := range settings {
		if _, given := os.LookupEnv(name); !given {
			environment = append(environment, name+"="+value)
		}
	}
	self, err := os.Executable()
	if err == nil {
		err = syscall.Exec(self, os.Args, environment)
	}
	fail("starting again with settings: %v", err)
}

func run(folder, address string) error {
	cluster := newCluster(folder)
	if err := cluster.follow(); err != nil {
		return err
	}
	server, err := bootstrap.NewServer(arguments(address), func(s *bootstrap.Server) { give(s, cluster.client) })
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	if err := server.Start(stop); err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	cluster.followUntil(ended)
	close(stop)
	return nil
}

func arguments(address string) *bootstrap.PilotArgs {
	return bootstrap.NewPilotArgs(func(args *bootstrap.PilotArgs) {
		args.ServerOptions = bootstrap.DiscoveryServerOptions{
			HTTPAddr:       address + ":8080",
			GRPCAddr:       address + ":15010",
			SecureGRPCAddr: address + ":15012",
			MonitoringAddr: address + ":15014",
		}
		args.RegistryOptions.Registries = []string{"Kubernetes"}
		args.RegistryOptions.KubeOptions.DomainSuffix = "cluster.local"
	})
}

// give makes a server use our cluster. The field for that is not exported; the server leaves it alone when it is set.
func give(server *bootstrap.Server, client kube.Client) {
	field := reflect.ValueOf(server).Elem().FieldByName("kubeClient")
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(client))
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "istiodpeer: "+format+"\n", args...)
	os.Exit(1)
}
