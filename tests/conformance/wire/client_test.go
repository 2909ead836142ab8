package wire

import (
	"bytes"
	netrpc "net/rpc"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/hashicorp/go-hclog"
	goPlugin "github.com/hashicorp/go-plugin"

	"rolloutverdict/conformance/host"
)

// bare hands out net/rpc itself, to call what Argo's typed client never would.
type bare struct{}

func (bare) Server(*goPlugin.MuxBroker) (any, error)                     { return nil, nil }
func (bare) Client(_ *goPlugin.MuxBroker, c *netrpc.Client) (any, error) { return c, nil }

// process is one plugin process of its own, started as Argo's client starts it, with its log.
type process struct {
	client *goPlugin.Client
	log    *buffer
}

func start(t *testing.T, name string, plugin goPlugin.Plugin, change ...func(*goPlugin.ClientConfig)) *process {
	t.Helper()
	log := &buffer{}
	settings := &goPlugin.ClientConfig{
		HandshakeConfig: host.Handshake,
		Plugins:         map[string]goPlugin.Plugin{host.Dispensed: plugin},
		Cmd:             exec.Command(installed(t, name)),
		Managed:         true,
		Logger:          hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Trace, JSONFormat: true}),
	}
	for _, apply := range change {
		apply(settings)
	}
	started := &process{client: goPlugin.NewClient(settings), log: log}
	t.Cleanup(started.client.Kill)
	return started
}

// dispense opens one more Plugin stream, with its own gob state on both sides.
func (p *process) dispense(t *testing.T) any {
	t.Helper()
	protocol, err := p.client.Client()
	host.Must(t, err == nil, "the process shakes hands (%v)\n%s", err, p.log)
	dispensed, err := protocol.Dispense(host.Dispensed)
	host.Must(t, err == nil, "it dispenses (%v)", err)
	return dispensed
}

func (p *process) provider(t *testing.T) rpc.MetricProviderPlugin {
	t.Helper()
	return p.dispense(t).(rpc.MetricProviderPlugin)
}

func (p *process) pid() int {
	if attached := p.client.ReattachConfig(); attached != nil {
		return attached.Pid
	}
	return 0
}

func (p *process) socket() string { return p.client.ReattachConfig().Addr.String() }

type buffer struct {
	mutex sync.Mutex
	bytes bytes.Buffer
}

func (b *buffer) Write(text []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.Write(text)
}

func (b *buffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.String()
}

func (b *buffer) contains(text string) bool { return strings.Contains(b.String(), text) }

type goPluginConfig = goPlugin.ClientConfig
