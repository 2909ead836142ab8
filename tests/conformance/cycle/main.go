// One measurement through Argo's own RPC client, of a plugin process that somebody else has started: Run, then Resume
// until there is a final phase. Prints everything as one JSON object. The packaging tests start the process in a root
// of its own.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	goPlugin "github.com/hashicorp/go-plugin"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: cycle SOCKET PID CONFIGURATION")
		os.Exit(2)
	}
	found, err := measure(os.Args[1], os.Args[2], json.RawMessage(os.Args[3]))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(socket, pid string, settings json.RawMessage) (map[string]any, error) {
	connection, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	plugins := map[string]goPlugin.Plugin{"RpcMetricProviderPlugin": &rpc.RpcMetricProviderPlugin{}}
	client, err := goPlugin.NewRPCClient(connection, plugins)
	if err != nil {
		return nil, err
	}
	dispensed, err := client.Dispense("RpcMetricProviderPlugin")
	if err != nil {
		return nil, err
	}
	plugin := dispensed.(rpc.MetricProviderPlugin)

	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Name: "canary-1", Namespace: "shop", UID: "0b6f"}}
	metric := v1alpha1.Metric{
		Name:     "verdict",
		Provider: v1alpha1.MetricProvider{Plugin: map[string]json.RawMessage{"org/rollout-verdict": settings}},
	}
	found := map[string]any{"init": plugin.InitPlugin().ErrorString, "type": plugin.Type(), "metadata": plugin.GetMetadata(metric)}
	measurement := plugin.Run(run, metric)
	found["run"] = measurement
	for deadline := time.Now().Add(30 * time.Second); !measurement.Phase.Completed() && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		measurement = plugin.Resume(run, metric, measurement)
	}
	found["final"] = measurement
	found["rssKb"], err = residentKb(pid)
	return found, err
}

// residentKb is the memory of the process in kB, as the kernel counts it.
func residentKb(pid string) (size int, err error) {
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	_, err = fmt.Sscan(after, &size)
	return size, err
}
