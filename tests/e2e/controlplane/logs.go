package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

// log is a container's log file in the format of the container runtimes, which the kubelet's own reader reads.
type log struct {
	lock sync.Mutex
	file *os.File
}

func newLog(path string) (*log, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.Create(path)
	return &log{file: file}, err
}

func (l *log) Close() error { return l.file.Close() }

// stream returns the writer of stdout or stderr. Every line gets the time at which it came to its end.
func (l *log) stream(name string) io.Writer { return &stream{log: l, name: name} }

type stream struct {
	log  *log
	name string
	rest []byte
}

func (s *stream) Write(data []byte) (int, error) {
	written := len(data)
	data = append(s.rest, data...)
	s.log.lock.Lock()
	defer s.log.lock.Unlock()
	for {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			s.rest = append([]byte{}, data...)
			return written, nil
		}
		_, err := fmt.Fprintf(s.log.file, "%s %s F %s\n", time.Now().UTC().Format(time.RFC3339Nano), s.name, line)
		if err != nil {
			return 0, err
		}
		data = rest
	}
}

// serveLogs answers the API server's log requests, over TLS with the certificate that the API server made for itself.
func (n *node) serveLogs(certificates string) error {
	pair, err := tls.LoadX509KeyPair(filepath.Join(certificates, "apiserver.crt"), filepath.Join(certificates, "apiserver.key"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n.port))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.containerLogs)
	n.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: stopTimeout, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}},
	}
	go func() { _ = n.server.ServeTLS(listener, "", "") }()
	return nil
}

func (n *node) containerLogs(response http.ResponseWriter, request *http.Request) {
	var options core.PodLogOptions
	if err := legacyscheme.ParameterCodec.DecodeParameters(request.URL.Query(), core.SchemeGroupVersion, &options); err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	p := n.find(request.PathValue("namespace"), request.PathValue("pod"))
	if p == nil {
		http.Error(response, fmt.Sprintf("pod %q does not exist", request.PathValue("pod")), http.StatusNotFound)
		return
	}
	for _, c := range p.containers {
		if c.spec.Name == request.PathValue("container") {
			c.writeLog(response, request, &options)
			return
		}
	}
	http.Error(response, fmt.Sprintf("container %q not found in pod %q", request.PathValue("container"), p.object.Name), http.StatusNotFound)
}

func (c *container) writeLog(response http.ResponseWriter, request *http.Request, options *core.PodLogOptions) {
	path, problem := c.logOf(options.Previous)
	if problem != "" {
		http.Error(response, problem, http.StatusBadRequest)
		return
	}
	var out io.Writer = response
	if options.Follow {
		out = &flushing{response}
	}
	logger := klog.Background()
	err := logs.ReadLogs(
		request.Context(), &logger, path, "id", logs.NewLogOptions(options, time.Now()), follower{container: c}, out, out)
	if err != nil && request.Context().Err() == nil {
		klog.ErrorS(err, "reading a log", "path", path)
	}
}

// logOf returns the log file, or why there is none in the words of a kubelet.
func (c *container) logOf(previous bool) (path, problem string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	waiting := c.state.Waiting
	switch {
	case previous && c.restarts == 0:
		return "", fmt.Sprintf("previous terminated container %q in pod %q not found", c.spec.Name, c.pod.object.Name)
	case previous, waiting != nil && c.restarts > 0: // in the back-off the latest log is that of the last run
		return c.logPath(c.restarts - 1), ""
	case waiting != nil && waiting.Reason == "ImagePullBackOff":
		return "", fmt.Sprintf("container %q in pod %q is waiting to start: trying and failing to pull image", c.spec.Name, c.pod.object.Name)
	case waiting != nil:
		return "", fmt.Sprintf("container %q in pod %q is waiting to start: %s", c.spec.Name, c.pod.object.Name, waiting.Reason)
	default:
		return c.logPath(c.restarts), ""
	}
}

// flushing sends every line as it comes, to somebody who follows.
type flushing struct{ http.ResponseWriter }

func (f *flushing) Write(data []byte) (int, error) {
	written, err := f.ResponseWriter.Write(data)
	if flusher, ok := f.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
	return written, err
}

// follower tells the kubelet's log reader whether more is to come. The rest of a runtime is never asked for.
type follower struct {
	internalapi.RuntimeService
	container *container
}

func (f follower) ContainerStatus(context.Context, string, bool) (*runtimeapi.ContainerStatusResponse, error) {
	state := runtimeapi.ContainerState_CONTAINER_EXITED
	if f.container.status().State.Running != nil {
		state = runtimeapi.ContainerState_CONTAINER_RUNNING
	}
	return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{State: state}}, nil
}
