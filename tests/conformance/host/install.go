// Package host does what the Argo Rollouts controller does with a metric plugin before the first measurement:
// it reads the ConfigMap, fetches the plugin files and starts them through the controller's own client.
package host

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/argoproj/argo-rollouts/metricproviders/plugin/client"
	"github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/config"
	"github.com/argoproj/argo-rollouts/utils/defaults"
	"github.com/argoproj/argo-rollouts/utils/plugin"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	goPlugin "github.com/hashicorp/go-plugin"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

// Handshake is the one of the controller's client (metricproviders/plugin/client/client.go).
var Handshake = goPlugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "ARGO_ROLLOUTS_RPC_PLUGIN",
	MagicCookieValue: "metricprovider",
}

// Dispensed is the name under which the controller asks for the provider.
const Dispensed = "RpcMetricProviderPlugin"

// Install writes the controller's ConfigMap and lets Argo's downloader fetch every plugin into plugin-bin below
// the working directory. Further objects (Secrets for headersFrom) go into the same fake cluster.
func Install(items []types.PluginItem, objects ...runtime.Object) error {
	text, err := json.Marshal(items)
	if err != nil {
		return err
	}
	cluster := fake.NewSimpleClientset(append(objects, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: defaults.DefaultRolloutsConfigMapName, Namespace: defaults.Namespace()},
		Data:       map[string]string{"metricProviderPlugins": string(text)},
	})...)
	if _, err = config.InitializeConfig(cluster, defaults.DefaultRolloutsConfigMapName); err != nil {
		return err
	}
	return plugin.DownloadPlugins(plugin.FileDownloaderImpl{}, cluster)
}

// Provider starts the plugin of that name, or returns the running one, as every reconciliation does.
func Provider(name string) (rpc.MetricProviderPlugin, error) {
	return client.GetMetricPlugin(Metric(name, nil))
}

// Metric is a metric of the named plugin with this configuration.
func Metric(name string, settings any) v1alpha1.Metric {
	text, err := json.Marshal(settings)
	if err != nil {
		panic(err)
	}
	return v1alpha1.Metric{
		Name:     "canary",
		Provider: v1alpha1.MetricProvider{Plugin: map[string]json.RawMessage{name: text}},
	}
}

// Need returns a variable of the environment that the Python wrapper sets, or ends the process.
func Need(name string) string {
	value := os.Getenv(name)
	if value == "" {
		fmt.Fprintf(os.Stderr, "%s is not set: run tests/conformance/test_conformance.py\n", name)
		os.Exit(2)
	}
	return value
}
