// Package wire drives plugin files through Argo's own client and looks at what arrives on either side.
//
// The same checks run against the Python process and against an equivalent plugin in Go: a check that Go's own server
// does not pass says nothing about ours. Those that go beyond what Go promises run against the Python process alone.
package wire

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"

	"rolloutverdict/conformance/host"
)

// The plugins under test, by the name under which the controller knows them.
const (
	python = "verdict/echo"    // echo_plugin.py: our wire and rpc packages around a recording provider
	golang = "verdict/go"      // goplugin: Argo's own server around the same provider
	ours   = "verdict/verdict" // the plugin that ships
)

var files = map[string]string{}

// everything is the ConfigMap's list with all plugins under test.
func everything() (items []types.PluginItem) {
	for name, path := range files {
		items = append(items, types.PluginItem{Name: name, Location: "file://" + path})
	}
	return
}

func TestMain(m *testing.M) {
	for name, variable := range map[string]string{
		python: "CONFORMANCE_ECHO", golang: "CONFORMANCE_GO", ours: "CONFORMANCE_PLUGIN",
	} {
		path, err := filepath.Abs(host.Need(variable))
		if err != nil {
			panic(err)
		}
		files[name] = path
	}
	host.Main(m, func() error { return host.Install(everything()) })
}

// each runs the test once per peer.
func each(t *testing.T, test func(t *testing.T, name string)) {
	for _, name := range []string{python, golang} {
		t.Run(strings.TrimPrefix(name, "verdict/"), func(t *testing.T) { test(t, name) })
	}
}

func provider(t *testing.T, name string) rpc.MetricProviderPlugin {
	t.Helper()
	started, err := host.Provider(name)
	host.Must(t, err == nil, "%s: Argo's client starts it, dispenses it and pings it (%v)", name, err)
	return started
}

// op is a metric that tells the recording provider what to do.
func op(name, what string, more ...any) v1alpha1.Metric {
	settings := map[string]any{"op": what}
	for i := 0; i+1 < len(more); i += 2 {
		settings[more[i].(string)] = more[i+1]
	}
	return host.Metric(name, settings)
}

func pid(t *testing.T, name string) int {
	t.Helper()
	answer := provider(t, name).Run(nil, op(name, "pid"))
	number, err := strconv.Atoi(answer.Value)
	host.Must(t, err == nil, "%s: tells its process id (%v)", name, answer.Message)
	return number
}

// gone waits until no process has that id. A process that we started is reaped by Argo's client.
func gone(pid int, within time.Duration) bool {
	return eventually(within, func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

func eventually(within time.Duration, holds func() bool) bool {
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		if holds() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// inTime runs the call in the background and tells whether it came back.
func inTime(within time.Duration, call func()) bool {
	done := make(chan struct{})
	go func() { defer close(done); call() }()
	select {
	case <-done:
		return true
	case <-time.After(within):
		return false
	}
}

// installed is where the downloader put the plugin.
func installed(t *testing.T, name string) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "plugin-bin", name)
}
