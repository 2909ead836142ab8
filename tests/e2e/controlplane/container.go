package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A kubelet begins with 10 s and goes to 5 min; tests have less time.
const (
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 8 * time.Second
	termination  = 2 * time.Second
)

// container is one container of a pod: its current process, and how the one before ended.
type container struct {
	pod    *pod
	spec   core.Container
	folder string
	init   bool

	lock     sync.Mutex
	state    core.ContainerState
	last     core.ContainerState
	isReady  bool
	restarts int32
	id       string
}

func newContainer(p *pod, spec core.Container, folder string, init bool) *container {
	c := &container{pod: p, spec: spec, folder: folder, init: init}
	c.state.Waiting = &core.ContainerStateWaiting{Reason: "ContainerCreating"}
	if init {
		c.state.Waiting.Reason = "PodInitializing"
	}
	return c
}

// runToSuccess runs an init container until it ends well. It returns false when the pod is to go first.
func (c *container) runToSuccess() bool {
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		if c.pullable() && c.runOnce() == 0 && c.pod.ctx.Err() == nil {
			return true
		}
		if !c.wait(backoff) {
			return false
		}
	}
}

// keepRunning runs the container as the pod's restart policy says, until the pod is to go.
func (c *container) keepRunning() {
	policy := c.pod.object.Spec.RestartPolicy
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		if c.pullable() {
			code := c.runOnce()
			if c.pod.ctx.Err() != nil || policy == core.RestartPolicyNever ||
				(policy == core.RestartPolicyOnFailure && code == 0) {
				return
			}
		}
		if !c.wait(backoff) {
			return
		}
	}
}

// pullable tells whether there is an image, and says so in the state when there is none.
func (c *container) pullable() bool {
	if len(c.spec.Image) < len(missingRegistry) || c.spec.Image[:len(missingRegistry)] != missingRegistry {
		return true
	}
	message := fmt.Sprintf("Back-off pulling image %q", c.spec.Image)
	c.pod.event(core.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: not found", c.spec.Image))
	c.set(func() {
		c.state = core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: message}}
	})
	return false
}

// wait stands in the back-off between two starts. It returns false when the pod is to go.
func (c *container) wait(backoff time.Duration) bool {
	c.set(func() {
		if c.state.Terminated != nil {
			c.last = c.state
			c.restarts++
			c.state = core.ContainerState{Waiting: &core.ContainerStateWaiting{
				Reason: "CrashLoopBackOff",
				Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s",
					backoff, c.spec.Name, c.pod.object.Name),
			}}
		}
	})
	if c.restarts > 0 {
		c.pod.event(core.EventTypeWarning, "BackOff", "Back-off restarting failed container "+c.spec.Name)
	}
	select {
	case <-time.After(backoff):
		return true
	case <-c.pod.ctx.Done():
		return false
	}
}

// runOnce runs the container's process to its end and returns its exit code.
func (c *container) runOnce() int32 {
	id := fmt.Sprintf("process://%s-%s-%d", c.pod.object.UID, c.spec.Name, c.restarts)
	code, reason := int32(128), "StartError"
	began := meta.Now()
	log, err := newLog(c.logPath(c.restarts))
	if err == nil {
		defer log.Close()
		command := append(append([]string{}, c.spec.Command...), c.spec.Args...)
		process := &exec.Cmd{
			Path: command[0], Args: command, Env: c.pod.environment(c.spec), Dir: c.folder,
			Stdout: log.stream("stdout"), Stderr: log.stream("stderr"),
			// Its own group: what it starts ends with it. It must not outlive us either.
			SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
		}
		if err = c.pod.node.start(process); err == nil {
			c.set(func() {
				c.id = id
				c.state = core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: began}}
			})
			c.pod.event(core.EventTypeNormal, "Started", "Started container "+c.spec.Name)
			code, reason = c.watch(process)
		}
	}
	message := ""
	if err != nil {
		message = err.Error()
	}
	c.set(func() {
		c.id, c.isReady = id, false
		c.state = core.ContainerState{Terminated: &core.ContainerStateTerminated{
			ExitCode: code, Reason: reason, Message: message, StartedAt: began, FinishedAt: meta.Now(), ContainerID: id,
		}}
	})
	return code
}

// watch probes the process until it ends, or ends it when the pod is to go.
func (c *container) watch(process *exec.Cmd) (int32, string) {
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	probe := time.NewTicker(probeInterval)
	defer probe.Stop()
	stop := c.pod.ctx.Done()
	var kill <-chan time.Time
	group := -process.Process.Pid
	for {
		select {
		case err := <-ended:
			_ = syscall.Kill(group, syscall.SIGKILL)
			return exit(err)
		case <-stop:
			stop = nil
			_ = syscall.Kill(group, syscall.SIGTERM)
			kill = time.After(termination)
		case <-kill:
			_ = syscall.Kill(group, syscall.SIGKILL)
		case <-probe.C:
			if ready := c.pod.ready(c.spec); ready != c.isReady {
				c.set(func() { c.isReady = ready })
				if !ready {
					c.pod.event(core.EventTypeWarning, "Unhealthy", "Readiness probe failed")
				}
			}
		}
	}
}

// exit returns the exit code and reason as a container runtime tells them.
func exit(err error) (int32, string) {
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		return 0, "Completed"
	}
	if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int32(status.Signal()), "Error"
	}
	return int32(failed.ExitCode()), "Error"
}

func (c *container) set(change func()) {
	c.lock.Lock()
	change()
	c.lock.Unlock()
	c.pod.note()
}

func (c *container) status() core.ContainerStatus {
	c.lock.Lock()
	defer c.lock.Unlock()
	started := c.state.Running != nil
	return core.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, ImageID: imageID(c.spec.Image), ContainerID: c.id,
		State: c.state, LastTerminationState: c.last, RestartCount: c.restarts, Started: &started,
		Ready: started && c.isReady || c.init && c.state.Terminated != nil && c.state.Terminated.ExitCode == 0,
	}
}

func (c *container) logPath(restart int32) string {
	return filepath.Join(c.folder, strconv.Itoa(int(restart))+".log")
}

// startProcesses returns the queue of a thread that never ends: Pdeathsig counts from the thread that started a process.
func startProcesses() chan func() {
	queue := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range queue {
			start()
		}
	}()
	return queue
}

func (n *node) start(process *exec.Cmd) error {
	if err := os.MkdirAll(process.Dir, 0o700); err != nil {
		return err
	}
	result := make(chan error, 1)
	n.starter <- func() { result <- process.Start() }
	return <-result
}
