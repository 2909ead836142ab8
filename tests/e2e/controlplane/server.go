package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"
	"sigs.k8s.io/yaml"
)

const pollInterval = 50 * time.Millisecond

func startEtcd(dir string, port int) (stop func(), endpoint string, err error) {
	endpoint = fmt.Sprintf("http://127.0.0.1:%d", port)
	client, err := url.Parse(endpoint)
	if err != nil {
		return nil, "", err
	}
	// Nobody is a peer of a cluster of one: any free port will do.
	peer, err := url.Parse("http://127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.LogLevel = "fatal"   // it tells its end as an error
	config.UnsafeNoFsync = true // the state dies with the test
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, "", fmt.Errorf("etcd: %w", err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd.Close, endpoint, nil
	case <-time.After(startTimeout):
		etcd.Close()
		return nil, "", errors.New("etcd did not become ready")
	}
}

// serverArguments returns the API server's command line and the configuration of its administrator.
func serverArguments(dir, etcd string, port int) ([]string, *rest.Config, error) {
	key, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return nil, nil, err
	}
	keyFile := filepath.Join(dir, "service-account.key")
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		return nil, nil, err
	}
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return nil, nil, err
	}
	token := hex.EncodeToString(random)
	tokenFile := filepath.Join(dir, "tokens.csv")
	if err := os.WriteFile(tokenFile, []byte(token+",admin,admin,system:masters\n"), 0o600); err != nil {
		return nil, nil, err
	}
	certificates := filepath.Join(dir, "certificates")
	arguments := []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--cert-dir=" + certificates,
		"--token-auth-file=" + tokenFile,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file=" + keyFile,
		"--service-account-key-file=" + keyFile,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--endpoint-reconciler-type=none",
		// no controller makes the ServiceAccounts that it would demand of every pod
		"--disable-admission-plugins=ServiceAccount",
		"--kubelet-preferred-address-types=InternalIP",
		"--enable-priority-and-fairness=false",
		"--profiling=false",
		"--v=0",
	}
	return arguments, &rest.Config{
		Host:            fmt.Sprintf("https://127.0.0.1:%d", port),
		BearerToken:     token,
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(certificates, "apiserver.crt")},
		QPS:             -1,
	}, nil
}

// waitReady returns when /readyz answers 200, or with the reason why it will not.
func waitReady(ctx context.Context, config *rest.Config, served <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		select {
		case err := <-served:
			ended <- err
			cancel()
		case <-ctx.Done():
		}
	}()
	var client *kubernetes.Clientset
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		if client == nil {
			made, err := kubernetes.NewForConfig(config) // fails until the server has written its certificate
			if err != nil {
				return false, nil
			}
			client = made
		}
		status := 0
		client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&status)
		return status == http.StatusOK, nil
	})
	select {
	case reason := <-ended:
		return fmt.Errorf("the API server ended before it was ready: %w", reason)
	default:
		return err
	}
}

func writeKubeconfig(dir string, config *rest.Config) error {
	authority, err := os.ReadFile(config.CAFile)
	if err != nil {
		return err
	}
	const name = "e2e"
	return clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: config.Host, CertificateAuthorityData: authority}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, filepath.Join(dir, "admin.kubeconfig"))
}

// installCRDs creates the definitions of the folder and returns when all are served.
func installCRDs(ctx context.Context, config *rest.Config, folder string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := apiextensionsclient.NewForConfigOrDie(user(config, "crds")).ApiextensionsV1().CustomResourceDefinitions()
	files, err := filepath.Glob(filepath.Join(folder, "*-crd.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no *-crd.yaml in %s (%w)", folder, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var definition apiextensions.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &definition); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if _, err := client.Create(ctx, &definition, meta.CreateOptions{}); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		list, err := client.List(ctx, meta.ListOptions{})
		if err != nil {
			return false, err
		}
		for _, definition := range list.Items {
			if !established(definition) {
				return false, nil
			}
		}
		return true, nil
	})
}

func established(definition apiextensions.CustomResourceDefinition) bool {
	for _, condition := range definition.Status.Conditions {
		if condition.Type == apiextensions.Established {
			return condition.Status == apiextensions.ConditionTrue
		}
	}
	return false
}
