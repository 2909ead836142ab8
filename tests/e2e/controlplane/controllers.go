package main

import (
	"context"
	"fmt"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/replicaset"
)

const workers = 2

// startControllers runs the released ReplicaSet and Deployment controllers, and a scheduler for one node.
func startControllers(ctx context.Context, config *rest.Config, factory informers.SharedInformerFactory) error {
	replicaSets, pods := factory.Apps().V1().ReplicaSets(), factory.Core().V1().Pods()
	client := kubernetes.NewForConfigOrDie(user(config, "replicaset-controller"))
	go replicaset.NewReplicaSetController(ctx, replicaSets, pods, client, replicaset.BurstReplicas).Run(ctx, workers)
	client = kubernetes.NewForConfigOrDie(user(config, "deployment-controller"))
	deployments, err := deployment.NewDeploymentController(ctx, factory.Apps().V1().Deployments(), replicaSets, pods, client)
	if err != nil {
		return fmt.Errorf("deployment controller: %w", err)
	}
	go deployments.Run(ctx, workers)
	client = kubernetes.NewForConfigOrDie(user(config, "scheduler"))
	bind := func(object any) {
		if pod, ok := object.(*core.Pod); ok && pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil {
			schedule(ctx, client, pod)
		}
	}
	_, err = pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: bind, UpdateFunc: func(_, object any) { bind(object) },
	})
	return err
}

// schedule binds a pod to the one node there is. A pod that asks for another one stays pending.
func schedule(ctx context.Context, client kubernetes.Interface, pod *core.Pod) {
	if len(pod.Spec.NodeSelector) > 0 {
		return
	}
	binding := &core.Binding{
		ObjectMeta: meta.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     core.ObjectReference{Kind: "Node", Name: nodeName},
	}
	err := client.CoreV1().Pods(pod.Namespace).Bind(ctx, binding, meta.CreateOptions{})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		klog.ErrorS(err, "binding", "pod", klog.KObj(pod))
	}
}
