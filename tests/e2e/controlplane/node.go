package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
)

const nodeName = "node-1"

// node is the stand-in for a kubelet: it runs the containers of its pods as processes and tells their state.
type node struct {
	dir       string
	network   string
	client    kubernetes.Interface
	events    record.EventRecorder
	server    *http.Server
	port      int
	targets   *targets
	starter   chan func()
	lock      sync.Mutex
	pods      map[types.UID]*pod
	addresses int
	running   sync.WaitGroup
}

func newNode(dir string, client kubernetes.Interface, port int, network string) (*node, error) {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&eventSink{client})
	n := &node{
		dir: dir, network: network, client: client, port: port,
		events:  broadcaster.NewRecorder(scheme.Scheme, core.EventSource{Component: "kubelet", Host: nodeName}),
		targets: &targets{path: filepath.Join(dir, "targets.json"), of: map[types.UID]target{}},
		starter: startProcesses(),
		pods:    map[types.UID]*pod{},
	}
	if err := n.targets.write(); err != nil {
		return nil, err
	}
	return n, n.serveLogs(filepath.Join(dir, "certificates"))
}

// register makes the Node object and follows the pods that are bound to it.
func (n *node) register(ctx context.Context, factory informers.SharedInformerFactory) error {
	now := meta.Now()
	object := &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: nodeName, Labels: map[string]string{core.LabelHostname: nodeName}},
		Status: core.NodeStatus{
			Addresses:       []core.NodeAddress{{Type: core.NodeInternalIP, Address: "127.0.0.1"}},
			DaemonEndpoints: core.NodeDaemonEndpoints{KubeletEndpoint: core.DaemonEndpoint{Port: int32(n.port)}},
			Conditions: []core.NodeCondition{{
				Type: core.NodeReady, Status: core.ConditionTrue, Reason: "KubeletReady",
				LastHeartbeatTime: now, LastTransitionTime: now,
			}},
		},
	}
	if _, err := n.client.CoreV1().Nodes().Create(ctx, object, meta.CreateOptions{}); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	see := func(object any) {
		if bound, ok := object.(*core.Pod); ok && bound.Spec.NodeName == nodeName {
			n.see(ctx, bound)
		}
	}
	_, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    see,
		UpdateFunc: func(_, object any) { see(object) },
		DeleteFunc: func(object any) {
			if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			if gone, ok := object.(*core.Pod); ok {
				n.forget(gone.UID)
			}
		},
	})
	return err
}

func (n *node) stop() {
	n.lock.Lock()
	for _, p := range n.pods {
		p.cancel()
	}
	n.lock.Unlock()
	stopped := make(chan struct{})
	go func() { n.running.Wait(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(stopTimeout):
		klog.ErrorS(nil, "some containers did not end")
	}
	_ = n.server.Close()
}

func (n *node) see(ctx context.Context, object *core.Pod) {
	n.lock.Lock()
	defer n.lock.Unlock()
	p, known := n.pods[object.UID]
	switch {
	case known:
		p.relabel(object)
		if object.DeletionTimestamp != nil {
			p.cancel()
		}
	case object.DeletionTimestamp != nil:
		go n.remove(object)
	default:
		n.addresses++
		p = newPod(ctx, n, object, fmt.Sprintf("%s.%d.%d", n.network, n.addresses/250, 1+n.addresses%250))
		n.pods[object.UID] = p
		n.running.Add(1)
		go func() {
			defer n.running.Done()
			p.run()
			if ctx.Err() == nil {
				n.remove(object)
			}
		}()
	}
}

func (n *node) forget(uid types.UID) {
	n.lock.Lock()
	defer n.lock.Unlock()
	if p, known := n.pods[uid]; known {
		p.cancel()
		delete(n.pods, uid)
	}
}

// find returns a pod of this node by its name, the newest when one took over the name of another.
func (n *node) find(namespace, name string) *pod {
	n.lock.Lock()
	defer n.lock.Unlock()
	var found *pod
	for _, p := range n.pods {
		if p.object.Namespace == namespace && p.object.Name == name && (found == nil || p.started.After(found.started)) {
			found = p
		}
	}
	return found
}

// remove ends a pod's deletion, as a kubelet does when the last container has ended.
func (n *node) remove(object *core.Pod) {
	err := n.client.CoreV1().Pods(object.Namespace).Delete(context.Background(), object.Name, meta.DeleteOptions{
		GracePeriodSeconds: new(int64), Preconditions: meta.NewUIDPreconditions(string(object.UID)),
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		klog.ErrorS(err, "removing", "pod", klog.KObj(object))
	}
}

type eventSink struct{ client kubernetes.Interface }

func (s *eventSink) Create(event *core.Event) (*core.Event, error) {
	return s.client.CoreV1().Events(event.Namespace).CreateWithEventNamespaceWithContext(context.Background(), event)
}

func (s *eventSink) Update(event *core.Event) (*core.Event, error) {
	return s.client.CoreV1().Events(event.Namespace).UpdateWithEventNamespaceWithContext(context.Background(), event)
}

func (s *eventSink) Patch(event *core.Event, data []byte) (*core.Event, error) {
	return s.client.CoreV1().Events(event.Namespace).PatchWithEventNamespaceWithContext(context.Background(), event, data)
}

// target is a group of Prometheus's file_sd: what a kubernetes_sd with the usual relabelling would have found.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

type targets struct {
	path string
	lock sync.Mutex
	of   map[types.UID]target
}

func (t *targets) set(uid types.UID, address string, labels map[string]string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.of[uid] = target{Targets: []string{address}, Labels: labels}
	if err := t.write(); err != nil {
		klog.ErrorS(err, "writing the scrape targets")
	}
}

func (t *targets) remove(uid types.UID) {
	t.lock.Lock()
	defer t.lock.Unlock()
	delete(t.of, uid)
	if err := t.write(); err != nil {
		klog.ErrorS(err, "writing the scrape targets")
	}
}

func (t *targets) write() error {
	groups := make([]target, 0, len(t.of))
	for _, group := range t.of {
		groups = append(groups, group)
	}
	text, err := json.Marshal(groups)
	if err != nil {
		return err
	}
	if err := os.WriteFile(t.path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(t.path+".new", t.path)
}
