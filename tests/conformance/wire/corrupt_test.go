package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"io"
	netrpc "net/rpc"
	"strings"
	"testing"
	"time"

	"github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/hashicorp/yamux"

	"rolloutverdict/conformance/host"
)

// The controller starts a plugin again only when its process has ended. So whatever breaks must end the process, with
// a reason in the log, and may never leave one that pings but does not measure.

const ( // yamux const.go
	data, window, ping, goAway = 0, 1, 2, 3
	syn, ack, fin, rst         = 1, 2, 4, 8
)

func frame(kind byte, flags uint16, stream, length uint32) []byte {
	header := []byte{0, kind}
	header = binary.BigEndian.AppendUint16(header, flags)
	header = binary.BigEndian.AppendUint32(header, stream)
	return binary.BigEndian.AppendUint32(header, length)
}

func TestBrokenFrames(t *testing.T) {
	opened := frame(window, syn, 1, 0)
	for what, sent := range map[string][]byte{
		"a web request":                        []byte("GET / HTTP/1.1\r\nHost: plugin\r\n\r\n"),
		"an unknown version":                   {1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0},
		"an unknown frame type":                frame(4, 0, 1, 0),
		"more data than the window":            append(append(opened, frame(data, 0, 1, 262_145)...), make([]byte, 262_145)...),
		"a length of 4 GiB":                    append(bytes.Clone(opened), frame(data, 0, 1, 1<<32-1)...),
		"the same stream opened twice":         append(bytes.Clone(opened), opened...),
		"go away with a protocol error":        frame(goAway, 0, 0, 1),
		"more credit than a window can hold":   append(bytes.Clone(opened), frame(window, 0, 1, 1<<32-1)...),
		"text that is no rpc on the control":   append(append(bytes.Clone(opened), frame(data, 0, 1, 5)...), "\x04help"...),
		"a gob of 1 TiB on the control stream": append(append(bytes.Clone(opened), frame(data, 0, 1, 7)...), 0xfa, 1, 0, 0, 0, 0, 0),
	} {
		process := spawn(t, python)
		connection := connect(t, process.socket)
		_, _ = connection.Write(sent)
		if what == "more credit than a window can hold" {
			// legal or not is for the receiver to say; a session that stays must go on serving
			alive := !process.ended(500 * time.Millisecond)
			host.Check(t, !alive || pings(connection), "%s: ends the process or changes nothing", what)
			continue
		}
		host.Check(t, process.ended(patience), "%s ends the process", what)
		host.Check(t, process.ProcessState.ExitCode() > 0 || what == "go away with a protocol error",
			"%s: with an exit code that says so: %v", what, process.ProcessState)
		host.Check(t, len(process.log.String()) > 0 && !process.log.contains("Traceback"), "and a reason in the log: %.200s", process.log.String())
	}
}

// pings sends one yamux ping and waits for its answer among whatever else comes.
func pings(connection interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
}) bool {
	_, _ = connection.Write(frame(ping, syn, 0, 4711))
	_ = connection.SetReadDeadline(time.Now().Add(patience))
	for header := make([]byte, 12); ; {
		if _, err := io.ReadFull(connection, header); err != nil {
			return false
		}
		if bytes.Equal(header, frame(ping, ack, 0, 4711)) {
			return true
		}
		if header[1] == data {
			_, _ = io.CopyN(io.Discard, connection, int64(binary.BigEndian.Uint32(header[8:])))
		}
	}
}

func TestHarmlessFrames(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		process := spawn(t, name)
		connection := connect(t, process.socket)
		for what, sent := range map[string][]byte{
			"data on a stream that is not open":    append(frame(data, 0, 99, 5), "hello"...),
			"credit for a stream that is not open": frame(window, 0, 99, 5),
			"the end of a stream that is not open": frame(data, fin, 99, 0),
			"an answer to a ping never sent":       frame(ping, ack, 0, 99),
			"a stream opened and reset":            append(frame(window, syn, 101, 0), frame(window, rst, 101, 0)...),
		} {
			_, _ = connection.Write(sent)
			host.Check(t, pings(connection), "%s changes nothing", what)
		}
	})
}

func TestBrokenStreams(t *testing.T) {
	var good bytes.Buffer
	encode(&good, "Plugin.Run", 0, runArgs())
	for what, sent := range map[string][]byte{
		"random bytes":                 []byte(strings.Repeat("\xde\xad\xbe\xef", 64)),
		"a message of 16 EiB":          {0xf8, 255, 255, 255, 255, 255, 255, 255, 255},
		"a message longer than a uint": {0xf6, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		"a value of no known type":     {4, 0xff, 0xc8, 1, 0},
		"a type that defines itself twice": append(bytes.Clone(good.Bytes()[:int(good.Bytes()[0])+1]),
			good.Bytes()[:int(good.Bytes()[0])+1]...),
		"a text instead of a request":       {6, 12, 0, 3, 'a', 'b', 'c'},
		"an empty message":                  {0},
		"a good request, then random bytes": append(bytes.Clone(good.Bytes()), 0xde, 0xad, 0xbe, 0xef, 0xf7),
	} {
		process := spawn(t, python)
		stream := dial(t, process.socket).stream(t)
		_, _ = stream.Write(sent)
		host.Check(t, process.ended(patience), "%s on the Plugin stream ends the process", what)
		host.Check(t, process.ProcessState.ExitCode() > 0, "with an exit code that says so: %v", process.ProcessState)
		host.Check(t, len(process.log.String()) > 0, "and a reason in the log: %.200s", process.log.String())
	}
}

func TestUnknownStreams(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		session := dial(t, spawn(t, name).socket)
		_, answered := session.broker(t, 4711)
		host.Check(t, answered != 4711, "a stream that nobody dispensed is not served: %d", answered)
		host.Check(t, session.ping() == nil && session.call("Plugin.Type", nil) == nil, "and the others live on")
	})
}

func runArgs() any {
	run := &v1alpha1.AnalysisRun{}
	run.Name, run.UID = "run", "0a1b"
	return rpc.RunArgs{AnalysisRun: run, Metric: op(python, "echo")}
}

func encode(buffer *bytes.Buffer, method string, sequence uint64, argument any) {
	encoder := gob.NewEncoder(buffer)
	if err := encoder.Encode(&netrpc.Request{ServiceMethod: method, Seq: sequence}); err != nil {
		panic(err)
	}
	if err := encoder.Encode(&argument); err != nil {
		panic(err)
	}
}

// One byte changed, or the stream cut off: an answer, an error or the end of the process, but never silence, and never a
// process that answers Ping and nothing else.
func TestFlippedAndMissingBytes(t *testing.T) {
	each(t, func(t *testing.T, name string) {
		var request bytes.Buffer
		encode(&request, "Plugin.Run", 1, runArgs())
		process := spawn(t, name)
		session := dial(t, process.socket)
		exits, answers, silent, halfAlive := 0, 0, 0, 0
		try := func(sent []byte) {
			stream := session.stream(t)
			_, _ = stream.Write(sent)
			_ = stream.(*yamux.Stream).Close() // half: what has been asked is still answered
			_ = stream.SetReadDeadline(time.Now().Add(patience))
			reply, err := io.ReadAll(stream)
			if len(reply) > 0 {
				answers++
			}
			if err != nil && strings.Contains(err.Error(), "timeout") {
				silent++
			}
			if session.ping() == nil && session.call("Plugin.Type", nil) == nil {
				return
			}
			if process.ended(patience) {
				exits++
			} else {
				halfAlive++
			}
			process = spawn(t, name)
			session = dial(t, process.socket)
		}
		whole := request.Bytes()
		step := len(whole) / 100
		for at := 0; at < len(whole); at += step {
			for _, mask := range []byte{0x01, 0x80, 0xff} {
				changed := bytes.Clone(whole)
				changed[at] ^= mask
				try(changed)
			}
			try(whole[:at])
		}
		host.Check(t, silent == 0, "every one of %d broken requests ends (%d silent; %d answered, %d ended the process)",
			4*(len(whole)/step+1), silent, answers, exits)
		host.Check(t, halfAlive == 0, "no process that pings but does not measure (%d)", halfAlive)
	})
}
