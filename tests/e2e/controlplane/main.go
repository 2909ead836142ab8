// Command controlplane is a Kubernetes cluster of one process for the tests: etcd, kube-apiserver, the ReplicaSet and
// Deployment controllers as released, the least scheduler that binds a pod, and a node whose containers are processes
// of this machine. It says "ready" on stdout and ends when its stdin does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// The node, the controllers and the tests share one CPU or two: these keep a broken start from hanging the tests.
const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 10 * time.Second
)

func main() {
	dir := flag.String("dir", "", "folder for the state, the certificates, admin.kubeconfig and the logs of containers")
	crds := flag.String("crds", "", "folder with the CustomResourceDefinitions to install, *-crd.yaml")
	port := flag.Int("port", 0, "port of the API server on 127.0.0.1")
	etcdPort := flag.Int("etcd-port", 0, "port of etcd on 127.0.0.1")
	kubeletPort := flag.Int("kubelet-port", 0, "port of the node's log endpoint on 127.0.0.1")
	network := flag.String("pod-network", "127.64", "first two bytes of the pods' addresses, inside 127/8")
	flag.Parse()
	// The API server's command owns the process's signal handler: its context ends at SIGTERM.
	command := app.NewAPIServerCommand()
	ctx, cancel := context.WithCancel(command.Context())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	command.SetContext(ctx)
	if err := run(ctx, *dir, *crds, *port, *etcdPort, *kubeletPort, *network, func(arguments []string) error {
		command.SetArgs(arguments)
		return command.Execute()
	}); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func run(
	ctx context.Context, dir, crds string, port, etcdPort, kubeletPort int, network string, serve func([]string) error,
) error {
	stopEtcd, endpoint, err := startEtcd(dir, etcdPort)
	if err != nil {
		return err
	}
	defer stopEtcd()
	arguments, config, err := serverArguments(dir, endpoint, port)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- serve(arguments) }()
	if err := waitReady(ctx, config, served); err != nil {
		return err
	}
	if err := writeKubeconfig(dir, config); err != nil {
		return err
	}
	if err := installCRDs(ctx, config, crds); err != nil {
		return err
	}
	client := kubernetes.NewForConfigOrDie(config)
	factory := informers.NewSharedInformerFactory(client, 0)
	if err := startControllers(ctx, config, factory); err != nil {
		return err
	}
	node, err := newNode(dir, client, kubeletPort, network)
	if err != nil {
		return err
	}
	if err := node.register(ctx, factory); err != nil {
		return err
	}
	defer node.stop()
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("the informer of %s did not sync", kind)
		}
	}
	fmt.Println("ready")
	select {
	case err := <-served:
		return fmt.Errorf("the API server ended: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// user returns the configuration of a client with that name, without the limits meant for one tool among many.
func user(config *rest.Config, name string) *rest.Config {
	return rest.AddUserAgent(&rest.Config{
		Host: config.Host, BearerToken: config.BearerToken, TLSClientConfig: config.TLSClientConfig, QPS: -1,
	}, name)
}

func init() { klog.LogToStderr(true) }
