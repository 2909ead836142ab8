package wire

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rolloutverdict/conformance/host"
	"rolloutverdict/conformance/tree"
)

// same compares what the plugin says it decoded with what Go itself would have decoded, leaf by leaf.
func same(t *testing.T, text string, sent any, what string, values ...any) {
	t.Helper()
	what = fmt.Sprintf(what, values...)
	var got, want any
	host.Must(t, json.Unmarshal([]byte(text), &got) == nil, "%s: the echo is JSON (%.200s)", what, text)
	encoded, err := json.Marshal(tree.Of(sent))
	if err != nil {
		t.Fatal(err)
	}
	if err = json.Unmarshal(encoded, &want); err != nil {
		t.Fatal(err)
	}
	leaves, differences := tree.Differences(tree.Prune(want), tree.Prune(got))
	if len(differences) > 10 {
		differences = append(differences[:10], fmt.Sprintf("and %d more", len(differences)-10))
	}
	host.Check(t, len(differences) == 0, "%s: %d values arrive as sent\n%s", what, leaves, strings.Join(differences, "\n"))
}

// full is an AnalysisRun, a metric and a measurement in which no field is zero, addressed to the named plugin.
func full(name string) (*v1alpha1.AnalysisRun, v1alpha1.Metric, v1alpha1.Measurement) {
	run := tree.Populate[v1alpha1.AnalysisRun]()
	metric := tree.Populate[v1alpha1.Metric]()
	metric.Provider.Plugin = op(name, "echo").Provider.Plugin
	return &run, metric, tree.Populate[v1alpha1.Measurement]()
}

func TestFullyPopulatedObjects(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		plugin := provider(t, name)
		run, metric, measurement := full(name)

		answer := plugin.Run(run, metric)
		same(t, answer.Value, tree.AsReceived(rpc.RunArgs{AnalysisRun: run, Metric: metric}), "Run")

		both := tree.AsReceived(rpc.TerminateAndResumeArgs{AnalysisRun: run, Metric: metric, Measurement: measurement})
		answer = plugin.Resume(run, metric, measurement)
		same(t, answer.Value, both, "Resume")
		answer = plugin.Terminate(run, metric, measurement)
		same(t, answer.Value, both, "Terminate")

		failure := plugin.GarbageCollect(run, metric, -7)
		same(t, failure.ErrorString, tree.AsReceived(rpc.GarbageCollectArgs{AnalysisRun: run, Metric: metric, Limit: -7}), "GarbageCollect")

		metadata := plugin.GetMetadata(metric)
		same(t, metadata["echo"], tree.AsReceived(rpc.GetMetadataArgs{Metric: metric}), "GetMetadata")
		value, present := metadata["empty"]
		host.Check(t, present && value == "" && len(metadata) == 2, "an empty string in a map is kept: %v", metadata["empty"])
	})
}

// Times are the one place where a reply carries opaque bytes: an instant must come back as it was sent.
func TestMeasurementsComeBackAsSent(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		plugin := provider(t, name)
		_, _, populated := full(name)
		at := func(instant time.Time) *metav1.Time { return &metav1.Time{Time: instant} }
		for what, measurement := range map[string]v1alpha1.Measurement{
			"every field":  populated,
			"no field":     {},
			"only a phase": {Phase: v1alpha1.AnalysisPhaseInconclusive},
			"leap day with nanoseconds": {
				Phase: v1alpha1.AnalysisPhaseRunning, StartedAt: at(time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC)),
			},
			"before 1970 and far ahead": {
				Phase: v1alpha1.AnalysisPhaseRunning, StartedAt: at(time.Date(1969, 12, 31, 23, 59, 59, 1, time.UTC)),
				ResumeAt: at(time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)),
			},
			"quotes, line ends, NUL and emoji": {
				Phase: v1alpha1.AnalysisPhaseFailed, Message: "a \"b\"\r\n\x00 \U0001f4a5", Value: "\u2028",
				Metadata: map[string]string{"": "empty key", "k": "", "größe": strings.Repeat("x", 300)},
			},
			"bytes that are not UTF-8": {
				Phase: v1alpha1.AnalysisPhaseFailed, Value: "\xff\xfe valid \xc3", Metadata: map[string]string{"k\x80": "\xf0\x28"},
			},
		} {
			for verb, call := range map[string]func(*v1alpha1.AnalysisRun, v1alpha1.Metric, v1alpha1.Measurement) v1alpha1.Measurement{
				"Resume": plugin.Resume, "Terminate": plugin.Terminate,
			} {
				answer := call(&v1alpha1.AnalysisRun{}, op(name, "return"), measurement)
				_, differences := tree.Differences(tree.Prune(tree.Of(measurement)), tree.Prune(tree.Of(answer)))
				host.Check(t, len(differences) == 0, "%s returns a measurement with %s: %s", verb, what, differences)
			}
		}
	})
}

func TestAbsentObjects(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		plugin := provider(t, name)
		metric := op(name, "echo")
		same(t, plugin.Run(nil, metric).Value, rpc.RunArgs{Metric: metric}, "Run of a nil AnalysisRun")
		empty := &v1alpha1.AnalysisRun{}
		same(t, plugin.Run(empty, metric).Value, rpc.RunArgs{AnalysisRun: empty, Metric: metric}, "Run of an empty AnalysisRun")
		same(t, plugin.Resume(nil, metric, v1alpha1.Measurement{}).Value,
			rpc.TerminateAndResumeArgs{Metric: metric}, "Resume of nothing")
		same(t, plugin.GarbageCollect(nil, metric, 0).ErrorString, rpc.GarbageCollectArgs{Metric: metric}, "GarbageCollect of nothing")
		metadata := plugin.GetMetadata(op(name, "return"))
		host.Check(t, len(metadata) == 0, "no metadata is an empty map: %v", metadata)
	})
}

// Kubernetes quantities have no exported amount: gob drops it on the host, for Go plugins too. They must not hurt.
func TestJobMetricsWithQuantities(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		plugin := provider(t, name)
		metric := op(name, "echo")
		job := &v1alpha1.JobMetric{}
		job.Spec.Template.Spec.Containers = []corev1.Container{{
			Name: "load", Image: "example/load:1",
			Resources: corev1.ResourceRequirements{
				Limits:   corev1.ResourceList{"cpu": resource.MustParse("1500m"), "memory": resource.MustParse("1Gi")},
				Requests: corev1.ResourceList{"cpu": resource.MustParse("0.1"), "ephemeral-storage": resource.MustParse("5e9")},
			},
		}}
		run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{
			metric, {Name: "job", Provider: v1alpha1.MetricProvider{Job: job}},
		}}}
		answer := plugin.Run(run, metric)
		same(t, answer.Value, tree.AsReceived(rpc.RunArgs{AnalysisRun: run, Metric: metric}), "Run beside a Job metric")
		host.Check(t, strings.Contains(answer.Value, "DecimalSI") && !strings.Contains(answer.Value, "1500"),
			"of a quantity only the format travels")
	})
}

func TestLargeObjects(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		plugin := provider(t, name)
		var text strings.Builder
		for i := 0; text.Len() < 1<<20; i++ {
			fmt.Fprintf(&text, "%x", sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
		}
		run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"large": text.String()}}}
		metric := op(name, "echo")
		same(t, plugin.Run(run, metric).Value, rpc.RunArgs{AnalysisRun: run, Metric: metric}, "1 MB in and out")
		for _, size := range []int{1 << 16, 1 << 18, 5 << 20} {
			answer := plugin.Run(nil, op(name, "big", "bytes", size))
			host.Check(t, answer.Value == strings.Repeat("0123456789abcdef", size/16), "%d bytes out, intact", size)
		}
	})
}
