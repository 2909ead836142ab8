package wire

import (
	"encoding/binary"
	"io"
	"net"
	netrpc "net/rpc"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"rolloutverdict/conformance/host"
)

// session is the host's side of one connection, taken apart: yamux, the three fixed streams, brokered ones.
type session struct {
	connection net.Conn
	mux        *yamux.Session
	control    *netrpc.Client
	plugin     *netrpc.Client
}

func connect(t *testing.T, socket string) net.Conn {
	t.Helper()
	connection, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func dial(t *testing.T, socket string) *session {
	t.Helper()
	quiet := yamux.DefaultConfig()
	quiet.LogOutput = io.Discard
	s := &session{connection: connect(t, socket)}
	var err error
	if s.mux, err = yamux.Client(s.connection, quiet); err != nil {
		t.Fatal(err)
	}
	control, err := s.mux.Open()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // standard output and standard error
		if _, err = s.mux.Open(); err != nil {
			t.Fatal(err)
		}
	}
	s.control = netrpc.NewClient(control)
	s.plugin = netrpc.NewClient(s.stream(t))
	return s
}

// stream dispenses a provider and opens its stream, as go-plugin's broker does: id out, id back.
func (s *session) stream(t *testing.T) net.Conn {
	t.Helper()
	var id uint32
	err := s.control.Call("Dispenser.Dispense", host.Dispensed, &id)
	host.Must(t, err == nil && id > 0, "Dispense hands out stream %d (%v)", id, err)
	stream, answered := s.broker(t, id)
	host.Must(t, answered == id, "the plugin accepts stream %d (%d)", id, answered)
	return stream
}

func (s *session) broker(t *testing.T, id uint32) (net.Conn, uint32) {
	t.Helper()
	stream, err := s.mux.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	_ = binary.Write(stream, binary.LittleEndian, id)
	var answered uint32
	_ = stream.SetReadDeadline(time.Now().Add(patience))
	if binary.Read(stream, binary.LittleEndian, &answered) != nil {
		return stream, 0
	}
	_ = stream.SetReadDeadline(time.Time{})
	return stream, answered
}

func (s *session) call(method string, argument any) error {
	var reply string
	done := s.plugin.Go(method, &argument, &reply, make(chan *netrpc.Call, 1))
	select {
	case <-done.Done:
		return done.Error
	case <-time.After(patience):
		return io.ErrNoProgress
	}
}

func (s *session) ping() error {
	var nothing struct{}
	return s.control.Call("Control.Ping", true, &nothing)
}
