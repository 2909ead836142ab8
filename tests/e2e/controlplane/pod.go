package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

// Images of this registry do not exist; all others are taken for present, since the command alone is run.
const missingRegistry = "missing.invalid/"

const probeInterval = 200 * time.Millisecond

// pod is one pod of the node.
type pod struct {
	node       *node
	ctx        context.Context
	cancel     context.CancelFunc
	address    string
	started    time.Time
	containers []*container // init containers first
	changed    chan struct{}
	lock       sync.Mutex
	object     *core.Pod
	initiated  bool
	readySince meta.Time
}

func newPod(ctx context.Context, n *node, object *core.Pod, address string) *pod {
	ctx, cancel := context.WithCancel(ctx)
	p := &pod{
		node: n, ctx: ctx, cancel: cancel, address: address, started: time.Now(),
		object: object, changed: make(chan struct{}, 1),
	}
	folder := filepath.Join(n.dir, "pods", fmt.Sprintf("%s_%s_%s", object.Namespace, object.Name, object.UID))
	for _, spec := range object.Spec.InitContainers {
		p.containers = append(p.containers, newContainer(p, spec, filepath.Join(folder, spec.Name), true))
	}
	for _, spec := range object.Spec.Containers {
		p.containers = append(p.containers, newContainer(p, spec, filepath.Join(folder, spec.Name), false))
	}
	return p
}

// run starts the containers, tells every change of their state, and returns when the pod is to go and all have ended.
func (p *pod) run() {
	var running sync.WaitGroup
	running.Add(1)
	go func() {
		defer running.Done()
		p.runContainers()
	}()
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()
	p.tell()
	p.event(core.EventTypeNormal, "Scheduled", fmt.Sprintf("Successfully assigned %s/%s to %s", p.object.Namespace, p.object.Name, nodeName))
	p.expose()
	defer p.node.targets.remove(p.object.UID)
	for {
		select {
		case <-p.changed:
			p.tell()
		case <-ended:
			p.tell()
			<-p.ctx.Done()
			return
		}
	}
}

func (p *pod) runContainers() {
	for _, c := range p.containers {
		if c.init && !c.runToSuccess() {
			return
		}
	}
	p.lock.Lock()
	p.initiated = true
	p.lock.Unlock()
	var running sync.WaitGroup
	for _, c := range p.containers {
		if !c.init {
			running.Add(1)
			go func() {
				defer running.Done()
				c.keepRunning()
			}()
		}
	}
	running.Wait()
}

// expose lists the pod for Prometheus when its annotations ask for it.
func (p *pod) expose() {
	annotations := p.object.Annotations
	if annotations["prometheus.io/scrape"] != "true" {
		return
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	labels := map[string]string{"namespace": p.object.Namespace, "pod": p.object.Name, "node": nodeName}
	for name, value := range p.object.Labels {
		labels[notLabel.ReplaceAllString(name, "_")] = value
	}
	p.node.targets.set(p.object.UID, net.JoinHostPort(p.address, annotations["prometheus.io/port"]), labels)
}

var notLabel = regexp.MustCompile(`[^A-Za-z0-9_]`)

// relabel takes over labels that were set on the live pod.
func (p *pod) relabel(object *core.Pod) {
	p.lock.Lock()
	p.object = object
	p.lock.Unlock()
}

func (p *pod) note() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *pod) event(kind, reason, message string) {
	p.node.events.Event(p.object, kind, reason, message)
}

// tell writes the pod's status as it is now.
func (p *pod) tell() {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.object.UID}, "status": p.status()})
	if err != nil {
		klog.ErrorS(err, "encoding a status")
		return
	}
	// Merged as JSON: lists are whole.
	_, err = p.node.client.CoreV1().Pods(p.object.Namespace).Patch(
		context.Background(), p.object.Name, types.MergePatchType, patch, meta.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		klog.ErrorS(err, "telling the status", "pod", klog.KObj(p.object))
	}
}

func (p *pod) status() core.PodStatus {
	p.lock.Lock()
	defer p.lock.Unlock()
	status := core.PodStatus{
		HostIP: "127.0.0.1", PodIP: p.address, PodIPs: []core.PodIP{{IP: p.address}},
		StartTime: &meta.Time{Time: p.started},
	}
	ready, done, failed := true, true, false
	for _, c := range p.containers {
		state := c.status()
		if c.init {
			status.InitContainerStatuses = append(status.InitContainerStatuses, state)
			continue
		}
		status.ContainerStatuses = append(status.ContainerStatuses, state)
		ready = ready && state.Ready
		terminated := state.State.Terminated
		done = done && terminated != nil && p.ctx.Err() == nil
		failed = failed || (terminated != nil && terminated.ExitCode != 0)
	}
	status.Phase = core.PodRunning
	switch {
	case !p.initiated:
		status.Phase, ready = core.PodPending, false
	case done && failed:
		status.Phase = core.PodFailed
	case done:
		status.Phase = core.PodSucceeded
	}
	if ready && p.readySince.IsZero() {
		p.readySince = meta.Now()
	} else if !ready {
		p.readySince = meta.Time{}
	}
	since := p.readySince
	if since.IsZero() {
		since = meta.Now()
	}
	condition := func(kind core.PodConditionType, holds bool, at meta.Time, reason string) core.PodCondition {
		c := core.PodCondition{Type: kind, Status: core.ConditionTrue, LastTransitionTime: at}
		if !holds {
			c.Status, c.Reason = core.ConditionFalse, reason
		}
		return c
	}
	started := meta.Time{Time: p.started}
	status.Conditions = []core.PodCondition{
		condition(core.PodScheduled, true, started, ""),
		condition(core.PodInitialized, p.initiated, started, "ContainersNotInitialized"),
		condition(core.ContainersReady, ready, since, "ContainersNotReady"),
		condition(core.PodReady, ready, since, "ContainersNotReady"),
	}
	return status
}

// ready asks the readiness probe once. A container without one is ready as soon as it runs.
func (p *pod) ready(spec core.Container) bool {
	probe := spec.ReadinessProbe
	if probe == nil {
		return true
	}
	if action := probe.HTTPGet; action != nil {
		client := http.Client{Timeout: time.Second}
		response, err := client.Get(fmt.Sprintf("http://%s%s", net.JoinHostPort(p.address, action.Port.String()), action.Path))
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode < http.StatusBadRequest
	}
	if action := probe.TCPSocket; action != nil {
		connection, err := net.DialTimeout("tcp", net.JoinHostPort(p.address, action.Port.String()), time.Second)
		if err != nil {
			return false
		}
		return connection.Close() == nil
	}
	return true
}

// environment returns what the container's process sees: its own variables, and nothing of ours.
func (p *pod) environment(spec core.Container) []string {
	variables := make([]string, 0, len(spec.Env))
	for _, variable := range spec.Env {
		value := variable.Value
		if from := variable.ValueFrom; from != nil && from.FieldRef != nil {
			switch from.FieldRef.FieldPath {
			case "status.podIP":
				value = p.address
			case "metadata.name":
				value = p.object.Name
			case "metadata.namespace":
				value = p.object.Namespace
			}
		}
		variables = append(variables, variable.Name+"="+value)
	}
	return variables
}

func imageID(image string) string {
	name, _, _ := strings.Cut(image, ":")
	return fmt.Sprintf("%s@sha256:%x", name, sha256.Sum256([]byte(image)))
}
