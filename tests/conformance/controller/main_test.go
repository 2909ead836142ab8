// Package controller runs Argo's real AnalysisRun controller over the plugin that ships, through whole AnalysisRuns.
// Only the cluster is a fake: the controller's own code starts the plugin, calls it and stores what it says.
package controller

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/argoproj/argo-rollouts/analysis"
	"github.com/argoproj/argo-rollouts/controller/metrics"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/pkg/client/clientset/versioned/fake"
	informers "github.com/argoproj/argo-rollouts/pkg/client/informers/externalversions"
	plugintypes "github.com/argoproj/argo-rollouts/utils/plugin/types"
	"github.com/argoproj/argo-rollouts/utils/queue"
	"github.com/argoproj/argo-rollouts/utils/record"
	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kubeinformers "k8s.io/client-go/informers"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/util/workqueue"

	"rolloutverdict/conformance/host"
)

const (
	plugin    = "org/rollout-verdict"
	namespace = "shop"
	patience  = 90 * time.Second // Resume comes 2 s after Run; a busy machine may take its time to judge
)

var bundles string

func TestMain(m *testing.M) {
	file, err := filepath.Abs(host.Need("CONFORMANCE_PLUGIN"))
	if err == nil {
		bundles, err = filepath.Abs(host.Need("CONFORMANCE_BUNDLES"))
	}
	if err != nil {
		panic(err)
	}
	logrus.SetLevel(logrus.ErrorLevel)
	host.Main(m, func() error {
		return host.Install([]plugintypes.PluginItem{{Name: plugin, Location: "file://" + file, Args: []string{"--local"}}})
	})
}

// cluster is a fake cluster with the real controller over it.
type cluster struct {
	t     *testing.T
	argo  *fake.Clientset
	kube  *kubefake.Clientset
	stop  context.CancelFunc
	ended chan struct{}
}

func newCluster(t *testing.T, secrets ...runtime.Object) *cluster {
	c := &cluster{t: t, argo: fake.NewSimpleClientset(), kube: kubefake.NewSimpleClientset(secrets...)}
	c.startController()
	t.Cleanup(func() { c.stop() })
	return c
}

func (c *cluster) startController() {
	ours := informers.NewSharedInformerFactory(c.argo, 0)
	theirs := kubeinformers.NewSharedInformerFactory(c.kube, 0)
	work := workqueue.NewNamedRateLimitingQueue(queue.DefaultArgoRolloutsRateLimiter(), "AnalysisRuns")
	controller := analysis.NewController(analysis.ControllerConfig{
		KubeClientSet:        c.kube,
		ArgoProjClientset:    c.argo,
		AnalysisRunInformer:  ours.Argoproj().V1alpha1().AnalysisRuns(),
		JobInformer:          theirs.Batch().V1().Jobs(),
		AnalysisRunWorkQueue: work,
		MetricsServer: metrics.NewMetricsServer(metrics.ServerConfig{
			Addr: "localhost:0", K8SRequestProvider: &metrics.K8sRequestsCountProvider{},
		}),
		Recorder: record.NewFakeEventRecorder(),
	})
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = func() { cancel(); work.ShutDown() }
	ours.Start(ctx.Done())
	theirs.Start(ctx.Done())
	ours.WaitForCacheSync(ctx.Done())
	theirs.WaitForCacheSync(ctx.Done())
	c.ended = make(chan struct{})
	go func(ended chan struct{}) { defer close(ended); _ = controller.Run(ctx, 4) }(c.ended)
}

// stopController returns when all of its workers have ended.
func (c *cluster) stopController() {
	c.stop()
	<-c.ended
}

// create puts an AnalysisRun with these metrics into the cluster.
func (c *cluster) create(name string, change func(*v1alpha1.AnalysisRun), metrics ...v1alpha1.Metric) {
	c.t.Helper()
	run := &v1alpha1.AnalysisRun{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace, UID: types.UID(c.t.Name() + "/" + name),
			Annotations: map[string]string{"rollout.argoproj.io/revision": "7"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "cart", UID: "77", Controller: new(bool),
			}},
		},
		Spec: v1alpha1.AnalysisRunSpec{Metrics: metrics},
	}
	if change != nil {
		change(run)
	}
	if _, err := c.argo.ArgoprojV1alpha1().AnalysisRuns(namespace).Create(context.Background(), run, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) get(name string) *v1alpha1.AnalysisRun {
	run, err := c.argo.ArgoprojV1alpha1().AnalysisRuns(namespace).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return run
}

// until waits for a state of the AnalysisRun, and remembers every state of its first measurement on the way.
func (c *cluster) until(name string, reached func(*v1alpha1.AnalysisRun) bool) (run *v1alpha1.AnalysisRun, states []v1alpha1.Measurement) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		run = c.get(name)
		if last := first(run); last != nil && (len(states) == 0 || fmt.Sprint(states[len(states)-1]) != fmt.Sprint(*last)) {
			states = append(states, *last)
		}
		if reached(run) {
			return
		}
		if time.Now().After(deadline) {
			host.Must(c.t, false, "%s stays %s: %+v", name, run.Status.Phase, run.Status)
		}
	}
}

func completed(run *v1alpha1.AnalysisRun) bool { return run.Status.Phase.Completed() }

func running(run *v1alpha1.AnalysisRun) bool {
	last := first(run)
	return last != nil && last.Phase == v1alpha1.AnalysisPhaseRunning
}

// first is the latest measurement of the first metric.
func first(run *v1alpha1.AnalysisRun) *v1alpha1.Measurement {
	if len(run.Status.MetricResults) == 0 || len(run.Status.MetricResults[0].Measurements) == 0 {
		return nil
	}
	all := run.Status.MetricResults[0].Measurements
	return &all[len(all)-1]
}
