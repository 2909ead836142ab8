package wire

import (
	"encoding/json"
	"fmt"
	netrpc "net/rpc"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"

	"rolloutverdict/conformance/host"
)

const patience = 20 * time.Second // for what should take milliseconds: the machine may be busy

func TestTypeAndInitPlugin(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		plugin := provider(t, name)
		host.Check(t, plugin.Type() == "Echo", "Type: %s", plugin.Type())
		for range 2 {
			host.Check(t, !plugin.InitPlugin().HasError(), "InitPlugin may be called again")
		}
	})
}

// Gob sends a type's definition before its first use on a stream: every order of first calls is another byte stream.
func TestTypeDefinitionsArriveLate(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		run, metric, measurement := full(name)
		calls := []func(rpc.MetricProviderPlugin) string{
			func(p rpc.MetricProviderPlugin) string { return p.Run(run, metric).Value },
			func(p rpc.MetricProviderPlugin) string { return p.Resume(nil, metric, measurement).Value },
			func(p rpc.MetricProviderPlugin) string { return p.GarbageCollect(run, metric, 3).ErrorString },
			func(p rpc.MetricProviderPlugin) string { return p.GetMetadata(metric)["echo"] },
			func(p rpc.MetricProviderPlugin) string { return `"` + p.Type() + `"` },
		}
		expected := make([]any, len(calls))
		orders, wrong := 0, 0
		var process *process
		permute([]int{0, 1, 2, 3, 4}, func(order []int) {
			if orders%24 == 0 { // a process serves a bounded number of streams; the controller opens four
				process = start(t, name, &rpc.RpcMetricProviderPlugin{})
			}
			plugin := process.provider(t)
			for _, i := range order {
				var answer any
				text := calls[i](plugin)
				if json.Unmarshal([]byte(text), &answer) != nil {
					answer = text
				}
				if expected[i] == nil {
					expected[i] = answer
				}
				if !reflect.DeepEqual(answer, expected[i]) {
					wrong++
					t.Logf("order %v, call %d: %.300s", order, i, text)
				}
			}
			orders++
		})
		host.Check(t, orders == 120 && wrong == 0,
			"%d orders of first calls, each on a stream of its own, give the same answers (%d do not)", orders, wrong)
	})
}

func permute(items []int, visit func([]int)) {
	var rest func(int)
	rest = func(k int) {
		if k == len(items) {
			visit(items)
		}
		for i := k; i < len(items); i++ {
			items[k], items[i] = items[i], items[k]
			rest(k + 1)
			items[k], items[i] = items[i], items[k]
		}
	}
	rest(0)
}

func TestManyCallsOnOneStream(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		plugin := start(t, name, &rpc.RpcMetricProviderPlugin{}).provider(t)
		wrong := 0
		for range 2_000 { // the sequence number passes 255 and the encodings that go with it
			if plugin.Type() != "Echo" {
				wrong++
			}
		}
		host.Check(t, wrong == 0, "2000 calls one after the other: %d wrong", wrong)

		metric := op(name, "echo")
		var mixed atomic.Int64
		var group sync.WaitGroup
		for i := range 16 {
			group.Add(1)
			go func() {
				defer group.Done()
				for j := range 25 {
					run := &v1alpha1.AnalysisRun{}
					run.Name = fmt.Sprintf("run-%d-%d-", i, j) + strings.Repeat("x", 4_000)
					if !strings.Contains(plugin.Run(run, metric).Value, run.Name) {
						mixed.Add(1)
					}
				}
			}()
		}
		group.Wait()
		host.Check(t, mixed.Load() == 0, "400 calls of 16 callers: each gets its own answer (%d did not)", mixed.Load())
	})
}

func TestManySlowRuns(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		process := start(t, name, &rpc.RpcMetricProviderPlugin{})
		plugin := process.provider(t)
		protocol, _ := process.client.Client()
		slow := op(name, "sleep", "seconds", 1)
		var done, wrong atomic.Int64
		var group sync.WaitGroup
		for range 500 {
			group.Add(1)
			go func() {
				defer group.Done()
				if plugin.Run(nil, slow).Phase != v1alpha1.AnalysisPhaseSuccessful {
					wrong.Add(1)
				}
				done.Add(1)
			}()
		}
		between, pings := 0, 0
		for done.Load() == 0 && between < 100_000 {
			if plugin.Type() == "Echo" {
				between++
			}
			if protocol.Ping() == nil {
				pings++
			}
		}
		host.Check(t, between > 0 && pings > 0, "while 500 Runs are under way, Type answers (%d) and so does Ping (%d)", between, pings)
		host.Check(t, inTime(patience, group.Wait) && wrong.Load() == 0, "500 concurrent Runs of 1 s end well (%d did not)", wrong.Load())
	})
}

func TestProviderErrors(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		plugin := provider(t, name)
		answer := plugin.Run(nil, op(name, "error", "text", "no such query"))
		host.Check(t, answer.Phase == v1alpha1.AnalysisPhaseError && answer.Message == "failed to run via plugin: no such query",
			"an Error measurement keeps its message: %s", answer.Message)
		answer = plugin.Resume(nil, op(name, "error", "text", "gone"), v1alpha1.Measurement{})
		host.Check(t, answer.Message == "failed to resume via plugin: gone", "%s", answer.Message)
		answer = plugin.Terminate(nil, op(name, "error", "text", "gone"), v1alpha1.Measurement{})
		host.Check(t, answer.Message == "failed to terminate via plugin: gone", "%s", answer.Message)
		metadata := plugin.GetMetadata(op(name, "error", "text", "none"))
		host.Check(t, metadata["error"] == "failed to get metadata via plugin: none", "%v", metadata)
	})
}

// A Go provider that panics ends its process; ours answers, because a missing reply would block a worker for ever.
func TestHandlerExceptions(t *testing.T) {
	process := start(t, python, &rpc.RpcMetricProviderPlugin{})
	plugin := process.provider(t)
	for _, what := range []string{"raise", "exit", "unencodable", "surrogate"} {
		var answer v1alpha1.Measurement
		host.Check(t, inTime(patience, func() { answer = plugin.Run(nil, op(python, what)) }), "Run comes back after %q", what)
		host.Check(t, answer.Phase == v1alpha1.AnalysisPhaseError && strings.HasPrefix(answer.Message, "Run rpc call error: "),
			"%q becomes an RPC error: %s %.120s", what, answer.Phase, answer.Message)
		host.Check(t, plugin.Type() == "Echo", "the stream is as good as before")
	}
	metadata := plugin.GetMetadata(op(python, "raise"))
	host.Check(t, strings.HasPrefix(metadata["error"], "failed to get metadata via plugin: GetMetadata rpc call error: ") ||
		strings.HasPrefix(metadata["error"], "GetMetadata rpc call error: "), "GetMetadata too: %v", metadata)
	failure := plugin.GarbageCollect(nil, op(python, "raise"), 1)
	host.Check(t, strings.HasPrefix(failure.ErrorString, "GarbageCollect rpc call error: "), "GarbageCollect too: %s", failure.ErrorString)
	host.Check(t, process.log.contains("RuntimeError") && process.log.contains("echo_plugin.py:"), "the log says what and where")
}

func TestBusyHandlersDoNotStarveTheProtocol(t *testing.T) {
	process := start(t, python, &rpc.RpcMetricProviderPlugin{})
	plugin := process.provider(t)
	var group sync.WaitGroup
	for range 8 {
		group.Add(1)
		go func() { defer group.Done(); plugin.Run(nil, op(python, "spin", "seconds", 3)) }()
	}
	answered := 0
	busy := make(chan struct{})
	go func() { group.Wait(); close(busy) }()
	for running := true; running; {
		select {
		case <-busy:
			running = false
		default:
			if plugin.Type() == "Echo" {
				answered++
			}
		}
	}
	host.Check(t, answered > 10, "Type answered %d times while 8 handlers kept the interpreter busy", answered)
}

func TestUnknownMethods(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		client := start(t, name, bare{}).dispense(t).(*netrpc.Client)
		type strange struct {
			Deep map[string][]float64
			Flag *bool
			Raw  []byte
		}
		flag := true
		for method, text := range map[string]string{
			"Plugin.Nope":  "rpc: can't find method Plugin.Nope",
			"Nope.Type":    "rpc: can't find service Nope.Type",
			"Type":         "rpc: service/method request ill-formed: Type",
			"Plugin.type":  "rpc: can't find method Plugin.type",
			"Plugin.":      "rpc: can't find method Plugin.",
			"Control.Ping": "rpc: can't find service Control.Ping",
		} {
			for what, argument := range map[string]any{
				"a map": map[string]int{"a": -1}, "a float": 17.5, "a string": "x", "a complex number": complex(1, -2),
				"an array": [3]uint16{1, 2, 3}, "a struct": strange{Deep: map[string][]float64{"d": {1, 2}}, Flag: &flag, Raw: []byte{0}},
			} {
				var reply string
				var err error
				host.Must(t, inTime(patience, func() { err = client.Call(method, argument, &reply) }), "%s(%s) comes back", method, what)
				host.Check(t, err != nil && err.Error() == text, "%s(%s): %v", method, what, err)
			}
		}
		var reply string
		host.Check(t, client.Call("Plugin.Type", new(any), &reply) == nil && reply == "Echo", "then a good call on the same stream: %s", reply)
	})
}

// The right method with the wrong argument is an error of that call alone.
func TestWrongArguments(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		client := start(t, name, bare{}).dispense(t).(*netrpc.Client)
		for _, method := range []string{"Plugin.Run", "Plugin.Resume", "Plugin.Terminate", "Plugin.GarbageCollect", "Plugin.GetMetadata"} {
			for what, argument := range map[string]any{
				"nil": nil, "another method's": rpc.GetMetadataArgs{}, "a third one's": rpc.GarbageCollectArgs{Limit: 1},
			} {
				if strings.HasSuffix(method, "GetMetadata") && strings.HasPrefix(what, "another") ||
					strings.HasSuffix(method, "GarbageCollect") && strings.HasPrefix(what, "a third") {
					continue // these are right
				}
				var reply v1alpha1.Measurement
				err := client.Call(method, &argument, &reply)
				host.Check(t, err != nil && strings.HasPrefix(err.Error(), "invalid args"), "%s with %s arguments: %v", method, what, err)
			}
		}
		var reply string
		host.Check(t, client.Call("Plugin.Type", new(any), &reply) == nil && reply == "Echo", "then a good call on the same stream")
	})
}

func TestDispense(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		process := start(t, name, &rpc.RpcMetricProviderPlugin{})
		protocol, err := process.client.Client()
		host.Must(t, err == nil, "the process shakes hands (%v)", err)
		var plugins []rpc.MetricProviderPlugin
		for range 20 {
			plugins = append(plugins, process.provider(t))
		}
		alive := 0
		for _, plugin := range plugins {
			if plugin.Type() == "Echo" {
				alive++
			}
		}
		host.Check(t, alive == len(plugins), "%d providers dispensed on one session, %d answer", len(plugins), alive)
		other := start(t, name, &rpc.RpcMetricProviderPlugin{}, func(c *goPluginConfig) { c.Plugins["Other"] = bare{} })
		protocol, err = other.client.Client()
		host.Must(t, err == nil, "another process shakes hands (%v)", err)
		_, err = protocol.Dispense("Other")
		host.Check(t, err != nil && err.Error() == "unknown plugin type: Other", "a provider that is not there: %v", err)
		host.Check(t, protocol.Ping() == nil && other.provider(t).Type() == "Echo", "and the session lives on")
	})
}
