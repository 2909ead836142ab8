package wire

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/defaults"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	goPlugin "github.com/hashicorp/go-plugin"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rolloutverdict/conformance/host"
)

const cookie = "ARGO_ROLLOUTS_RPC_PLUGIN=metricprovider"

// handshake is the line that go-plugin expects first: core protocol 1, app protocol 1, unix, path, netrpc, no certificate.
var handshake = regexp.MustCompile(`^1\|1\|unix\|(/[^|]+)\|netrpc\|\n$`)

func TestDownloadByAddress(t *testing.T) {
	text, err := os.ReadFile(installed(t, python))
	if err != nil {
		t.Fatal(err)
	}
	var header string
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		header = request.Header.Get("Authorization")
		_, _ = answer.Write(text)
	}))
	defer server.Close()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "store", Namespace: defaults.Namespace()},
		Data:       map[string][]byte{"Authorization": []byte("Bearer t")},
	}
	item := types.PluginItem{
		Name: "verdict/downloaded", Location: server.URL + "/plugin", Sha256: fmt.Sprintf("%x", sha256.Sum256(text)),
		HeadersFrom: []types.HeadersFrom{{SecretRef: types.SecretRef{Name: "store"}}},
	}
	goPlugin.CleanupClients() // a file that runs cannot be written
	wrong := item
	wrong.Sha256 = strings.Repeat("0", 64)
	items := append(everything(), item)
	err = host.Install(append(everything(), wrong), secret)
	host.Check(t, err != nil && strings.Contains(err.Error(), "sha256"), "a wrong sha256 is refused: %v", err)
	err = host.Install(items, secret)
	host.Check(t, err == nil && header == "Bearer t", "the right one is installed (%v), with the header of the Secret (%s)", err, header)
	host.Check(t, provider(t, item.Name).Type() == "Echo", "and it runs")
}

func TestWithoutTheCookie(t *testing.T) {
	for _, name := range []string{python, golang, ours} {
		for what, variable := range map[string]string{"no cookie": "X=y", "a wrong cookie": "ARGO_ROLLOUTS_RPC_PLUGIN=step"} {
			var out, complaint bytes.Buffer
			command := exec.Command(installed(t, name))
			command.Env = append(os.Environ(), variable)
			command.Stdout, command.Stderr = &out, &complaint
			host.Check(t, inTime(patience, func() { _ = command.Run() }), "%s with %s ends", name, what)
			host.Check(t, command.ProcessState != nil && command.ProcessState.ExitCode() == 1, "with exit code 1: %v", command.ProcessState)
			host.Check(t, out.Len() == 0 && complaint.Len() > 40 && !strings.Contains(complaint.String(), "Traceback"),
				"a friendly text on stderr (%d bytes), none on stdout (%d)", complaint.Len(), out.Len())
		}
	}
}

func TestMutualTLSIsRefused(t *testing.T) {
	for _, name := range []string{python, ours} {
		process := start(t, name, bare{}, func(c *goPlugin.ClientConfig) { c.AutoMTLS = true })
		var err error
		host.Check(t, inTime(patience, func() { _, err = process.client.Client() }), "%s asked for mTLS comes back", name)
		host.Check(t, err != nil && eventually(patience, process.client.Exited), "with an error, and the process is gone: %.200v", err)
		host.Check(t, process.log.contains("TLS"), "the log says why")
	}
}

// child is a plugin process without go-plugin's client around it.
type child struct {
	*exec.Cmd
	line   string
	socket string
	exited chan struct{}
	log    buffer
}

func spawn(t *testing.T, name string, environment ...string) *child {
	t.Helper()
	started := &child{Cmd: exec.Command(installed(t, name)), exited: make(chan struct{})}
	started.Env = append(append(os.Environ(), cookie), environment...)
	started.Stderr = &started.log
	out, err := started.StdoutPipe()
	if err == nil {
		err = started.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = started.Process.Kill(); <-started.exited })
	read := make(chan string, 1)
	go func() { text, _ := bufio.NewReader(out).ReadString('\n'); read <- text }()
	select {
	case started.line = <-read:
	case <-time.After(patience):
	}
	go func() { _ = started.Wait(); close(started.exited) }()
	if match := handshake.FindStringSubmatch(started.line); match != nil {
		started.socket = match[1]
	}
	host.Must(t, started.socket != "", "%s prints the handshake first: %q\n%s", name, started.line, &started.log)
	return started
}

func (c *child) ended(within time.Duration) bool {
	select {
	case <-c.exited:
		return true
	case <-time.After(within):
		return false
	}
}

func TestHandshakeLine(t *testing.T) {
	for _, name := range []string{python, golang, ours} {
		process := spawn(t, name)
		connection, err := net.Dial("unix", process.socket)
		host.Check(t, err == nil, "%s listens before it prints: %v", name, err)
		host.Check(t, len(process.socket) < 108, "the path fits a sockaddr_un: %d bytes", len(process.socket))
		second := spawn(t, name)
		host.Check(t, second.socket != process.socket, "a second process has a socket of its own")
		if connection != nil {
			_ = connection.Close()
		}
	}
}

func TestSocketFolder(t *testing.T) {
	for _, name := range []string{python, golang, ours} {
		folder := t.TempDir()
		process := spawn(t, name, "TMPDIR="+folder)
		host.Check(t, strings.HasPrefix(process.socket, folder), "%s: TMPDIR is honoured: %s", name, process.socket)
		other := t.TempDir()
		process = spawn(t, name, "PLUGIN_UNIX_SOCKET_DIR="+other)
		host.Check(t, strings.HasPrefix(process.socket, other), "%s: PLUGIN_UNIX_SOCKET_DIR is honoured: %s", name, process.socket)
	}
}

func TestSignals(t *testing.T) {
	for _, name := range []string{python, ours} {
		folder := t.TempDir()
		process := spawn(t, name, "TMPDIR="+folder)
		_ = process.Process.Signal(syscall.SIGINT)
		host.Check(t, !process.ended(300*time.Millisecond), "%s ignores SIGINT", name)
		connection, err := net.Dial("unix", process.socket)
		host.Check(t, err == nil, "and still accepts: %v", err)
		_ = process.Process.Signal(syscall.SIGTERM)
		host.Check(t, process.ended(patience) && process.ProcessState.ExitCode() == 0, "SIGTERM ends it with 0: %v", process.ProcessState)
		left, _ := filepath.Glob(folder + "/*")
		host.Check(t, len(left) == 0, "and nothing is left: %v", left)
		if connection != nil {
			_ = connection.Close()
		}
	}
}

func TestKill(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		for _, busy := range []bool{false, true} {
			process := start(t, name, &rpc.RpcMetricProviderPlugin{})
			plugin := process.provider(t)
			id, socket := process.pid(), process.socket()
			var answer v1alpha1.Measurement
			pending := make(chan struct{})
			if busy {
				go func() { defer close(pending); answer = plugin.Run(nil, op(name, "sleep", "seconds", 30)) }()
				time.Sleep(200 * time.Millisecond)
			}
			before := time.Now()
			process.client.Kill()
			host.Check(t, gone(id, time.Second), "after Kill (busy: %v) the process is gone (%s)", busy, time.Since(before).Round(time.Millisecond))
			if name != golang { // which on a busy machine now and then is not quick enough for its own host
				host.Check(t, !process.log.contains("plugin failed to exit gracefully"), "it left by itself")
			}
			_, err := os.Stat(socket)
			host.Check(t, os.IsNotExist(err), "and took its socket along: %v", err)
			if busy {
				host.Check(t, inTime(patience, func() { <-pending }) && answer.Phase == v1alpha1.AnalysisPhaseError,
					"the pending Run is an error: %s", answer.Message)
			}
		}
	})
}

func TestPing(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		process := start(t, name, bare{})
		protocol, err := process.client.Client()
		host.Must(t, err == nil, "the process shakes hands (%v)", err)
		good := 0
		for range 200 {
			if protocol.Ping() == nil {
				good++
			}
		}
		host.Check(t, good == 200, "%d of 200 Pings before anything is dispensed", good)
	})
}

func TestSuddenDeathAndRestart(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		first := pid(t, name)
		_ = syscall.Kill(first, syscall.SIGKILL)
		host.Must(t, gone(first, patience), "SIGKILL ends process %d", first)
		second := 0
		host.Check(t, eventually(patience, func() bool {
			restarted, err := host.Provider(name)
			return err == nil && restarted.Type() == "Echo"
		}), "the next reconciliation gets a new process")
		second = pid(t, name)
		host.Check(t, second != first, "%d after %d", second, first)

		// the measurement is all that survives: it must be enough to go on with
		_, _, measurement := full(name)
		answer := provider(t, name).Resume(nil, op(name, "return"), measurement)
		host.Check(t, answer.Phase == measurement.Phase && answer.Metadata != nil, "Resume of the old measurement in the new process")

		plugin := provider(t, name)
		pending := make(chan v1alpha1.Measurement, 1)
		go func() { pending <- plugin.Run(nil, op(name, "sleep", "seconds", 30)) }()
		time.Sleep(200 * time.Millisecond)
		_ = syscall.Kill(second, syscall.SIGKILL)
		select {
		case answer = <-pending:
			host.Check(t, answer.Phase == v1alpha1.AnalysisPhaseError && strings.HasPrefix(answer.Message, "Run rpc call error"),
				"a Run during which the process dies is an error: %s", answer.Message)
		case <-time.After(patience):
			host.Check(t, false, "a Run during which the process dies comes back")
		}
		host.Check(t, eventually(patience, func() bool {
			restarted, err := host.Provider(name)
			return err == nil && restarted.Type() == "Echo"
		}), "and the process is started again")
	})
}

func TestControllerRestart(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		_, _, measurement := full(name)
		before := pid(t, name)
		goPlugin.CleanupClients() // what the controller's main does on its way out
		host.Check(t, gone(before, patience), "the controller's end is the plugin's end")
		answer := provider(t, name).Resume(nil, op(name, "return"), measurement)
		host.Check(t, answer.Value == measurement.Value && answer.StartedAt.Equal(measurement.StartedAt),
			"a new client resumes the old measurement")
	})
}

func TestTheHostDisappears(t *testing.T) {
	for _, name := range []string{python, ours} {
		folder := t.TempDir()
		process := spawn(t, name, "TMPDIR="+folder)
		session := dial(t, process.socket)
		host.Check(t, session.call("Plugin.Type", nil) == nil, "%s serves a bare session", name)
		_ = session.connection.Close()
		host.Check(t, process.ended(patience), "when the host is gone without a word, the process goes too: %v", process.ProcessState)
		left, _ := filepath.Glob(folder + "/*")
		host.Check(t, len(left) == 0, "and nothing is left: %v", left)
	}
}

func TestNoiseOnStandardOutput(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		process := start(t, name, &rpc.RpcMetricProviderPlugin{})
		plugin := process.provider(t)
		for range 50 {
			plugin.Run(nil, op(name, "print", "text", "1|1|tcp|127.0.0.1:1|netrpc|\n"+strings.Repeat("noise", 5_000)))
		}
		host.Check(t, plugin.Type() == "Echo", "12 MB of prints from handlers change nothing")
	})
	for where, hears := range map[string]bool{"stderr": true, "import": true, "stdout": false} {
		process := start(t, python, &rpc.RpcMetricProviderPlugin{}, func(c *goPlugin.ClientConfig) {
			c.Cmd.Env = append(os.Environ(), "ECHO_NOISE="+where)
		})
		_, err := process.client.Client()
		if hears {
			host.Check(t, err == nil && process.provider(t).Type() == "Echo", "noise on %s before the handshake is harmless: %v", where, err)
			host.Check(t, process.log.contains("noise before the handshake"), "and reaches the log")
		} else {
			host.Check(t, err != nil && eventually(patience, process.client.Exited), "noise on fd 1 itself is the end, at once: %.100v", err)
		}
	}
}

func TestLogRecords(t *testing.T) {
	process := start(t, python, &rpc.RpcMetricProviderPlugin{})
	process.provider(t).Run(nil, op(python, "log", "text", "two\nlines"))
	host.Check(t, eventually(patience, func() bool { return process.log.contains(`two\nlines`) }), "a record of the plugin is one record of the host")
	for _, line := range strings.Split(process.log.String(), "\n") {
		if strings.Contains(line, `two\nlines`) {
			host.Check(t, strings.Contains(line, `"@level":"warn"`), "with its level: %s", line)
		}
	}
}

// A protocol thread that does not answer yamux's keepalive for 10 s costs the session. The host finds out by itself.
func TestBlockedForTooLong(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		t.Parallel()
		plugin, err := host.Provider(name)
		host.Must(t, err == nil, "the plugin runs (%v)", err)
		blocked := pid(t, name)
		pending := make(chan v1alpha1.Measurement, 1)
		go func() { pending <- plugin.Run(nil, op(name, "sleep", "seconds", 300)) }()
		time.Sleep(200 * time.Millisecond)
		// Again and again: when a shell ends, the kernel lets the stopped processes of its orphaned groups go on.
		hold := time.NewTicker(100 * time.Millisecond)
		defer hold.Stop()
		go func() {
			for range hold.C {
				_ = syscall.Kill(blocked, syscall.SIGSTOP)
			}
		}()
		select {
		case answer := <-pending:
			host.Check(t, answer.Phase == v1alpha1.AnalysisPhaseError, "the Run under way is an error: %s", answer.Message)
		case <-time.After(60 * time.Second):
			host.Check(t, false, "the host gave up on the session")
		}
		hold.Stop()
		_, err = host.Provider(name)
		host.Check(t, err != nil && strings.Contains(err.Error(), "could not ping plugin"), "the next Ping fails: %v", err)
		host.Check(t, gone(blocked, patience), "the stuck process is killed")
		host.Check(t, eventually(patience, func() bool {
			restarted, err := host.Provider(name)
			return err == nil && restarted.Type() == "Echo"
		}), "and replaced at the next reconciliation")
	})
}

func TestLongRunsOutliveTheKeepalive(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		t.Parallel()
		plugin := start(t, name, &rpc.RpcMetricProviderPlugin{}).provider(t)
		answer := plugin.Run(nil, op(name, "sleep", "seconds", 75))
		host.Check(t, answer.Phase == v1alpha1.AnalysisPhaseSuccessful && plugin.Type() == "Echo",
			"a Run of 75 s comes to its end: %s %s", answer.Phase, answer.Message)
	})
}
