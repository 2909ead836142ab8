package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	goPlugin "github.com/hashicorp/go-plugin"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"rolloutverdict/conformance/host"
)

// metric judges a bundle of examples/ with these further settings.
func metric(name, bundle string, settings map[string]any) v1alpha1.Metric {
	all := map[string]any{"bundle": filepath.Join(bundles, bundle)}
	for key, value := range settings {
		all[key] = value
	}
	found := host.Metric(plugin, all)
	found.Name = name
	zero := intstr.FromInt32(0)
	found.ConsecutiveErrorLimit = &zero // or an Error is tried again five times, 10 s apart
	return found
}

// stored checks what architecture and issue promise of every measurement that is over.
func stored(t *testing.T, measurement *v1alpha1.Measurement, states []v1alpha1.Measurement) {
	t.Helper()
	host.Check(t, measurement.Message != "" && utf8.RuneCountInString(measurement.Message) <= 200 && !strings.Contains(measurement.Message, "\n"),
		"the message is one line of at most 200 characters: %q", measurement.Message)
	size := 0
	for key, text := range measurement.Metadata {
		size += len(key) + len(text)
	}
	host.Check(t, size > 0 && size <= 8192, "metadata takes %d bytes, at most 8192", size)
	host.Check(t, measurement.FinishedAt != nil && measurement.ResumeAt == nil, "it has an end and is not to be resumed")
	host.Must(t, len(states) > 1 && states[0].Phase == v1alpha1.AnalysisPhaseRunning, "it was Running first: %v", states)
	host.Check(t, states[0].Message != "" && states[0].ResumeAt != nil && states[0].ResumeAt.After(states[0].StartedAt.Time),
		"while Running, a message and a time to resume at: %q", states[0].Message)
	host.Check(t, measurement.StartedAt.Equal(states[0].StartedAt), "startedAt is carried over")
	id := measurement.Metadata["verdict.id"]
	host.Check(t, len(id) == 32 && id == states[0].Metadata["verdict.id"], "and so is the id: %s", id)
}

// judged checks what a measurement with a verdict stores.
func judged(t *testing.T, measurement *v1alpha1.Measurement, verdict string) {
	t.Helper()
	var value struct {
		Verdict           string
		Score, Confidence *int
	}
	err := json.Unmarshal([]byte(measurement.Value), &value)
	host.Check(t, err == nil && value.Verdict == verdict && value.Score != nil && value.Confidence != nil,
		"the value is verdict, score and confidence: %s", measurement.Value)
	metadata := measurement.Metadata
	for _, key := range []string{"analysis", "analysisJSON", "confidence", "modelResults", "modelCount", "votingRationale", "verdict.digest"} {
		host.Check(t, metadata[key] != "", "metadata %s: %.60s", key, metadata[key])
	}
	var analysis struct {
		Text       string
		Promote    bool
		Confidence int
	}
	err = json.Unmarshal([]byte(metadata["analysisJSON"]), &analysis)
	host.Check(t, err == nil && analysis.Text != "" && analysis.Promote == (verdict == "promote"),
		"analysisJSON is the Go plugin's JSON (%v): %.80s", err, metadata["analysisJSON"])
	var models []map[string]any
	err = json.Unmarshal([]byte(metadata["modelResults"]), &models)
	host.Check(t, err == nil && strconv.Itoa(len(models)) == metadata["modelCount"], "modelResults are %s", metadata["modelCount"])
	confidence, err := strconv.Atoi(metadata["confidence"])
	host.Check(t, err == nil && confidence == *value.Confidence, "confidence is a whole number in both places: %s", metadata["confidence"])
}

func TestEveryFinalPhase(t *testing.T) {
	for _, test := range []struct {
		name, bundle string
		settings     map[string]any
		phase        v1alpha1.AnalysisPhase
		verdict      string
	}{
		{"good", "good", nil, v1alpha1.AnalysisPhaseSuccessful, "promote"},
		{"bad", "bad", nil, v1alpha1.AnalysisPhaseFailed, "rollback"},
		{"not-enough", "good", map[string]any{
			"minimumSamples": 1_000_000, "thresholds": map[string]any{"logs": map[string]any{"minEvents": 1_000_000}},
		}, v1alpha1.AnalysisPhaseInconclusive, "inconclusive"},
		{"no-bundle", "none", nil, v1alpha1.AnalysisPhaseError, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			c.create(test.name, nil, metric("canary", test.bundle, test.settings))
			run, states := c.until(test.name, completed)
			result := run.Status.MetricResults[0]
			host.Check(t, run.Status.Phase == test.phase && result.Phase == test.phase, "the AnalysisRun ends %s: %s", run.Status.Phase, run.Status.Message)
			measurement := first(run)
			host.Check(t, measurement.Phase == test.phase, "the measurement ends %s: %s", measurement.Phase, measurement.Message)
			stored(t, measurement, states)
			if test.verdict != "" {
				judged(t, measurement, test.verdict)
			} else {
				host.Check(t, measurement.Value == "", "an Error has no value: %s", measurement.Value)
			}
			host.Check(t, result.Metadata["pluginVersion"] != "" && result.Metadata["mode"] == "auto", "the metric has the plugin's metadata: %v", result.Metadata)
			if test.phase != v1alpha1.AnalysisPhaseSuccessful {
				host.Check(t, strings.Contains(run.Status.Message, measurement.Message), "the run's message tells the reason: %s", run.Status.Message)
			}
		})
	}
}

// A configuration that is wrong is said at once, with the key, the value and what was expected.
func TestWrongConfiguration(t *testing.T) {
	for name, test := range map[string]struct {
		settings map[string]any
		told     []string
	}{
		"type":    {map[string]any{"minConfidence": "high"}, []string{"minConfidence", "high"}},
		"range":   {map[string]any{"minConfidence": 700}, []string{"minConfidence", "700", "100"}},
		"strict":  {map[string]any{"strict": true, "minConfidense": 70}, []string{"minConfidense"}},
		"choice":  {map[string]any{"mode": "fast"}, []string{"mode", "fast", "rules"}},
		"no time": {map[string]any{"deadline": "soon"}, []string{"deadline", "soon"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			c.create("run", nil, metric("canary", "good", test.settings))
			run, _ := c.until("run", completed)
			host.Check(t, run.Status.Phase == v1alpha1.AnalysisPhaseError, "the AnalysisRun ends %s", run.Status.Phase)
			message := first(run).Message
			for _, word := range test.told {
				host.Check(t, strings.Contains(message, word), "the message names %s: %s", word, message)
			}
		})
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.create("dry", func(run *v1alpha1.AnalysisRun) {
		run.Spec.DryRun = []v1alpha1.DryRun{{MetricName: "trial"}}
	}, metric("trial", "bad", nil), metric("real", "good", nil))
	run, states := c.until("dry", completed)
	host.Check(t, run.Status.Phase == v1alpha1.AnalysisPhaseSuccessful, "a failed trial does not fail the run: %s", run.Status.Phase)
	trial := run.Status.MetricResults[0]
	if trial.Name != "trial" {
		trial = run.Status.MetricResults[1]
	}
	host.Check(t, trial.DryRun && trial.Phase == v1alpha1.AnalysisPhaseFailed, "the trial itself is measured: %s %s", trial.Phase, trial.Message)
	judged(t, &trial.Measurements[0], "rollback")
	host.Check(t, len(states) > 1, "through Running")
}

func (c *cluster) terminate(name string) {
	c.t.Helper()
	patch := []byte(`{"spec":{"terminate":true}}`)
	_, err := c.argo.ArgoprojV1alpha1().AnalysisRuns(namespace).Patch(context.Background(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	host.Must(c.t, err == nil, "%v", err)
}

// The controller only terminates a measurement whose time to resume has come (analysis.go generateMetricTasks), so it is
// told while no controller runs, as when it was restarted in between.
func TestTerminated(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.create("ended", nil, metric("canary", "good", nil))
	before, _ := c.until("ended", running)
	c.stopController()
	c.terminate("ended")
	time.Sleep(time.Until(first(before).ResumeAt.Time) + time.Second) // it is stored in whole seconds
	c.startController()
	run, _ := c.until("ended", completed)
	measurement := first(run)
	host.Check(t, measurement.Phase == v1alpha1.AnalysisPhaseInconclusive && measurement.FinishedAt != nil,
		"a measurement that is stopped has no verdict: %s", measurement.Phase)
	host.Check(t, measurement.Message != "" && measurement.Value == "", "and says so: %s", measurement.Message)
	host.Check(t, measurement.StartedAt.Equal(first(before).StartedAt) &&
		measurement.Metadata["verdict.id"] == first(before).Metadata["verdict.id"], "start and id are carried over")
	host.Check(t, run.Status.Phase == v1alpha1.AnalysisPhaseInconclusive, "nothing passes by being stopped: %s", run.Status.Phase)
}

// Before that time it ends the run without asking; a failed metric then still decides.
func TestTerminatedBeforeItsTime(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.create("waiting", nil, metric("canary", "bad", nil))
	c.until("waiting", running)
	c.terminate("waiting")
	run, _ := c.until("waiting", completed)
	host.Check(t, first(run).Phase == v1alpha1.AnalysisPhaseRunning && first(run).Value == "",
		"no verdict is made up for a measurement that nobody asked again: %s", first(run).Phase)
}

func TestSeveralMeasurements(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	repeated := metric("canary", "good", nil)
	three := intstr.FromInt32(3)
	repeated.Count, repeated.Interval = &three, "1s"
	c.create("repeated", func(run *v1alpha1.AnalysisRun) {
		run.Spec.MeasurementRetention = []v1alpha1.MeasurementRetention{{MetricName: "canary", Limit: 2}}
	}, repeated)
	run, _ := c.until("repeated", completed)
	result := run.Status.MetricResults[0]
	host.Check(t, run.Status.Phase == v1alpha1.AnalysisPhaseSuccessful && result.Successful == 3, "three measurements: %d", result.Successful)
	host.Check(t, len(result.Measurements) == 2, "of which two are kept: GarbageCollect let the controller trim (%d)", len(result.Measurements))
	ids := map[string]bool{}
	for _, measurement := range result.Measurements {
		ids[measurement.Metadata["verdict.id"]] = true
	}
	host.Check(t, len(ids) == 2, "each with an id of its own")
}

// What the controller resolved from a Secret must not be stored, wherever the template put it.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-correct-horse"
	c := newCluster(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "store", Namespace: namespace},
		Data:       map[string][]byte{"token": []byte(secret)},
	})
	withSecret := func(run *v1alpha1.AnalysisRun) {
		run.Spec.Args = []v1alpha1.Argument{{
			Name: "token", ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "store", Key: "token"}},
		}}
	}
	c.create("kept", withSecret, metric("canary", "good", map[string]any{"extraPrompt": "{{args.token}}", "unknown-{{args.token}}": 1}))
	c.create("wrong", withSecret, metric("canary", "good", map[string]any{"mode": "{{args.token}}"}))
	c.create("missing", withSecret, metric("canary", "{{args.token}}", nil))
	for name, phase := range map[string]v1alpha1.AnalysisPhase{
		"kept": v1alpha1.AnalysisPhaseSuccessful, "wrong": v1alpha1.AnalysisPhaseError, "missing": v1alpha1.AnalysisPhaseError,
	} {
		run, states := c.until(name, completed)
		text, err := json.Marshal(run.Status)
		host.Check(t, err == nil && run.Status.Phase == phase, "%s: the AnalysisRun ends %s", name, run.Status.Phase)
		host.Check(t, !strings.Contains(string(text), secret) && !strings.Contains(fmt.Sprint(states), secret),
			"%s: nothing that is stored holds the secret: %.300s", name, first(run).Message)
	}
}

// These two end every plugin process, so they do not run beside the others.

func TestThePluginDiesDuringAMeasurement(t *testing.T) {
	c := newCluster(t)
	c.create("killed", nil, metric("canary", "bad", nil))
	before, _ := c.until("killed", running)
	for _, child := range children(t) {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	run, _ := c.until("killed", completed)
	host.Check(t, run.Status.Phase == v1alpha1.AnalysisPhaseFailed, "a new process goes on with the measurement: %s %s", run.Status.Phase, run.Status.Message)
	host.Check(t, first(run).Metadata["verdict.id"] == first(before).Metadata["verdict.id"], "it is the same measurement")
	judged(t, first(run), "rollback")
}

func TestTheControllerRestartsDuringAMeasurement(t *testing.T) {
	c := newCluster(t)
	c.create("moved", nil, metric("canary", "good", nil))
	before, _ := c.until("moved", running)
	c.stopController()
	goPlugin.CleanupClients()
	host.Check(t, len(children(t)) == 0, "the plugin ends with the controller")
	c.startController()
	run, _ := c.until("moved", completed)
	host.Check(t, run.Status.Phase == v1alpha1.AnalysisPhaseSuccessful, "the next controller resumes it: %s %s", run.Status.Phase, run.Status.Message)
	host.Check(t, first(run).Metadata["verdict.id"] == first(before).Metadata["verdict.id"] &&
		first(run).StartedAt.Equal(first(before).StartedAt), "it is the same measurement")
}

// children are the plugin processes that run now.
func children(t *testing.T) (found []int) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		found = nil
		entries, err := filepath.Glob("/proc/[0-9]*/stat")
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			text, err := os.ReadFile(entry)
			if err != nil {
				continue
			}
			_, rest, _ := strings.Cut(string(text), ") ")
			fields := strings.Fields(rest)
			if len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) && fields[0] != "Z" {
				pid, _ := strconv.Atoi(strings.Fields(string(text))[0])
				found = append(found, pid)
			}
		}
		if len(found) > 0 {
			return
		}
	}
	return
}
