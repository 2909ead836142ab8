// Measures plugin processes side by side through Argo's own RPC client, interleaved, so that what the machine does
// besides hits all of them alike. Prints one JSON object: figures by name. Arguments: NAME=FILE ...
package main

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/hashicorp/go-hclog"
	goPlugin "github.com/hashicorp/go-plugin"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rolloutverdict/conformance/host"
)

const (
	starts = 15
	rounds = 20  // of calls calls each, of every plugin in turn
	calls  = 150 // one after the other
	many   = 500 // at once
)

// Figures of one plugin.
type Figures struct {
	StartMs    float64 `json:"start_ms"`    // start of the process until the provider is dispensed, p50
	TypeUs     float64 `json:"type_us"`     // Type, p50
	RunUs      float64 `json:"run_us"`      // Run with an AnalysisRun of RunBytes, p50
	RunBytes   int     `json:"run_bytes"`   // what the argument takes in gob, without type definitions
	IdleRssKb  int     `json:"idle_rss_kb"` // after the first Type
	ManyS      float64 `json:"many_s"`      // 500 concurrent Runs of 1 s
	AfterRssKb int     `json:"after_rss_kb"`

	file                string
	client              *goPlugin.Client
	plugin              rpc.MetricProviderPlugin
	start, kind, runner []time.Duration
}

func main() {
	log.SetOutput(io.Discard) // yamux complains of plugins that were told to end
	order := []string{}
	all := map[string]*Figures{}
	for _, argument := range os.Args[1:] {
		name, file, _ := strings.Cut(argument, "=")
		order = append(order, name)
		all[name] = &Figures{file: file}
	}
	for range starts {
		for _, name := range order {
			all[name].begin()
		}
	}
	run := analysisRun()
	metric := host.Metric("org/rollout-verdict", map[string]any{"op": "running"})
	for _, name := range order {
		f := all[name]
		must(f.plugin.Type() != "", "Type of "+name)
		f.IdleRssKb = residentKb(f.client.ReattachConfig().Pid)
		first := f.plugin.Run(run, metric)
		must(first.Phase == v1alpha1.AnalysisPhaseRunning, name+": "+first.Message)
		f.RunBytes = size(rpc.RunArgs{AnalysisRun: run, Metric: metric})
	}
	for range rounds {
		for _, name := range order {
			f := all[name]
			for range calls {
				before := time.Now()
				f.plugin.Type()
				f.kind = append(f.kind, time.Since(before))
			}
			for range calls {
				before := time.Now()
				f.plugin.Run(run, metric)
				f.runner = append(f.runner, time.Since(before))
			}
		}
	}
	for _, name := range order {
		f := all[name]
		f.StartMs, f.TypeUs, f.RunUs = median(f.start)/1e6, median(f.kind)/1e3, median(f.runner)/1e3
		f.AfterRssKb = residentKb(f.client.ReattachConfig().Pid)
		f.ManyS = f.slowRuns()
	}
	goPlugin.CleanupClients()
	must(json.NewEncoder(os.Stdout).Encode(all) == nil, "printing")
}

// begin starts the process anew, as Argo's client does.
func (f *Figures) begin() {
	if f.client != nil {
		f.client.Kill()
	}
	before := time.Now()
	f.client = goPlugin.NewClient(&goPlugin.ClientConfig{
		HandshakeConfig: host.Handshake,
		Plugins:         map[string]goPlugin.Plugin{host.Dispensed: &rpc.RpcMetricProviderPlugin{}},
		Cmd:             exec.Command(f.file),
		Managed:         true,
		Logger:          hclog.NewNullLogger(),
	})
	protocol, err := f.client.Client()
	must(err == nil, fmt.Sprint(f.file, ": ", err))
	dispensed, err := protocol.Dispense(host.Dispensed)
	must(err == nil, fmt.Sprint(err))
	f.start = append(f.start, time.Since(before))
	f.plugin = dispensed.(rpc.MetricProviderPlugin)
}

// slowRuns measures 500 Runs of 1 s at once. A plugin that knows no sleep answers at once: its figure means nothing.
func (f *Figures) slowRuns() float64 {
	metric := host.Metric("org/rollout-verdict", map[string]any{"op": "sleep", "seconds": 1})
	var group sync.WaitGroup
	before := time.Now()
	for range many {
		group.Add(1)
		go func() { defer group.Done(); f.plugin.Run(nil, metric) }()
	}
	group.Wait()
	return time.Since(before).Seconds()
}

// analysisRun takes about 20 KB: a run with ten metrics, their last ten measurements each, and their metadata.
func analysisRun() *v1alpha1.AnalysisRun {
	now := metav1.NewTime(time.Unix(1_790_000_000, 0))
	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{
		Name: "checkout-7d9f-3", Namespace: "shop", UID: "3f7c6f0e-2f40-4c6b-9d3a-5d8f7c9b6d2k",
		Labels:      map[string]string{"rollouts-pod-template-hash": "7d9f8c6b5", "app": "checkout"},
		Annotations: map[string]string{"rollout.argoproj.io/revision": "3"},
	}}
	for i := range 10 {
		name := fmt.Sprintf("metric-%d", i)
		run.Spec.Metrics = append(run.Spec.Metrics, host.Metric("org/rollout-verdict", map[string]any{"mode": "auto", "name": name}))
		result := v1alpha1.MetricResult{Name: name, Phase: v1alpha1.AnalysisPhaseRunning, Count: 10, Successful: 10}
		for j := range 10 {
			result.Measurements = append(result.Measurements, v1alpha1.Measurement{
				Phase: v1alpha1.AnalysisPhaseSuccessful, StartedAt: &now, FinishedAt: &now,
				Value:    `{"verdict":"promote","score":93,"confidence":88}`,
				Metadata: map[string]string{"verdict.id": fmt.Sprintf("%032d", i*10+j), "analysis": "no difference worth a word"},
			})
		}
		run.Status.MetricResults = append(run.Status.MetricResults, result)
	}
	return run
}

// size is what a value takes on a stream that knows its types already.
func size(value any) int {
	var out bytes.Buffer
	encoder := gob.NewEncoder(&out)
	must(encoder.Encode(value) == nil, "gob")
	before := out.Len()
	must(encoder.Encode(value) == nil, "gob")
	return out.Len() - before
}

func median(all []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[len(sorted)/2])
}

func residentKb(pid int) (size int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(err == nil, fmt.Sprint(err))
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	_, err = fmt.Sscan(after, &size)
	must(err == nil, fmt.Sprint(err))
	return
}

func must(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, what)
		goPlugin.CleanupClients()
		os.Exit(1)
	}
}
