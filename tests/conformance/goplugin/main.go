// An equivalent plugin in Go, built on Argo's own server side: the yardstick of the benchmark, and the proof that the
// suite itself is right. Its behaviour is chosen by the metric's configuration; echo_plugin.py follows the same table.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	goPlugin "github.com/hashicorp/go-plugin"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rolloutverdict/conformance/tree"
)

type settings struct {
	Op      string  `json:"op"`
	Seconds float64 `json:"seconds"`
	Bytes   int     `json:"bytes"`
	Text    string  `json:"text"`
}

type echo struct{}

func configured(metric v1alpha1.Metric) (chosen settings) {
	for _, text := range metric.Provider.Plugin {
		if err := json.Unmarshal(text, &chosen); err != nil {
			chosen.Op = err.Error()
		}
	}
	return
}

func dump(values map[string]any) string {
	text, err := json.Marshal(tree.Of(values))
	if err != nil {
		panic(err)
	}
	return string(text)
}

func act(metric v1alpha1.Metric, arguments map[string]any, given v1alpha1.Measurement) v1alpha1.Measurement {
	done := v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseSuccessful}
	switch chosen := configured(metric); chosen.Op {
	case "echo":
		done.Value = dump(arguments)
	case "return":
		return given
	case "running":
		now := metav1.Now()
		later := metav1.NewTime(now.Add(2 * time.Second))
		return v1alpha1.Measurement{
			Phase: v1alpha1.AnalysisPhaseRunning, Message: "measuring", StartedAt: &now, ResumeAt: &later,
			Metadata: map[string]string{"verdict.id": "0123456789abcdef0123456789abcdef"},
		}
	case "sleep":
		time.Sleep(time.Duration(chosen.Seconds * float64(time.Second)))
	case "big":
		done.Value = strings.Repeat("0123456789abcdef", chosen.Bytes/16)
	case "error":
		return v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseError, Message: chosen.Text}
	case "print":
		fmt.Println(chosen.Text)
		_, _ = os.Stdout.WriteString(chosen.Text)
	case "pid":
		done.Value = fmt.Sprint(os.Getpid())
	default:
		return v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseError, Message: "unknown op " + chosen.Op}
	}
	return done
}

func (echo) InitPlugin() types.RpcError { return types.RpcError{} }

func (echo) Type() string { return "Echo" }

func (echo) Run(run *v1alpha1.AnalysisRun, metric v1alpha1.Metric) v1alpha1.Measurement {
	return act(metric, map[string]any{"AnalysisRun": run, "Metric": metric}, v1alpha1.Measurement{})
}

func (echo) Resume(run *v1alpha1.AnalysisRun, metric v1alpha1.Metric, given v1alpha1.Measurement) v1alpha1.Measurement {
	return act(metric, map[string]any{"AnalysisRun": run, "Metric": metric, "Measurement": given}, given)
}

func (e echo) Terminate(run *v1alpha1.AnalysisRun, metric v1alpha1.Metric, given v1alpha1.Measurement) v1alpha1.Measurement {
	return e.Resume(run, metric, given)
}

func (echo) GarbageCollect(run *v1alpha1.AnalysisRun, metric v1alpha1.Metric, limit int) types.RpcError {
	if configured(metric).Op == "echo" {
		return types.RpcError{ErrorString: dump(map[string]any{"AnalysisRun": run, "Metric": metric, "Limit": limit})}
	}
	return types.RpcError{}
}

func (echo) GetMetadata(metric v1alpha1.Metric) map[string]string {
	switch chosen := configured(metric); chosen.Op {
	case "echo":
		return map[string]string{"echo": dump(map[string]any{"Metric": metric}), "empty": ""}
	case "error":
		return map[string]string{"error": chosen.Text}
	}
	return nil
}

func main() {
	goPlugin.Serve(&goPlugin.ServeConfig{
		HandshakeConfig: goPlugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "ARGO_ROLLOUTS_RPC_PLUGIN",
			MagicCookieValue: "metricprovider",
		},
		Plugins: map[string]goPlugin.Plugin{"RpcMetricProviderPlugin": &rpc.RpcMetricProviderPlugin{Impl: echo{}}},
	})
}
