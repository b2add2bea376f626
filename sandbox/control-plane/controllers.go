package main

import (
	"context"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

const (
	workers = 5
	// kube-controller-manager looks for new kinds every 30 s; here custom
	// resources are installed moments before they are used.
	discoveryPeriod = time.Second
	// How long the garbage collector waits for its caches before it begins.
	initialSync = 30 * time.Second
	// kube-controller-manager resyncs its informers every 12 to 24 hours.
	resync = 12 * time.Hour
)

// startControllers starts the garbage collector, the namespace controller and
// the service account controller; they end with ctx.
func startControllers(ctx context.Context, loopback *rest.Config) error {
	config := rest.CopyConfig(loopback)
	config.QPS = -1 // no limit of the client's own
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	metadataClient, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	typed := informers.NewSharedInformerFactory(client, resync)
	untyped := metadatainformer.NewSharedInformerFactory(metadataClient, resync)
	objects := informerfactory.NewInformerFactory(typed, untyped)
	started := make(chan struct{})

	collector, err := garbagecollector.NewGarbageCollector(
		ctx, client, metadataClient,
		restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery())),
		garbagecollector.DefaultIgnoredResources(), objects, started)
	if err != nil {
		return fmt.Errorf("garbage collector: %w", err)
	}
	namespaces := namespace.NewNamespaceController(
		ctx, client, metadataClient, client.Discovery().ServerPreferredNamespacedResources,
		typed.Core().V1().Namespaces(), resync, core.FinalizerKubernetes)
	accounts, err := serviceaccount.NewServiceAccountsController(
		typed.Core().V1().ServiceAccounts(), typed.Core().V1().Namespaces(), client,
		serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return fmt.Errorf("service account controller: %w", err)
	}

	go collector.Run(ctx, workers, initialSync)
	go collector.Sync(ctx, client.Discovery(), discoveryPeriod)
	go namespaces.Run(ctx, workers)
	go accounts.Run(ctx, 1)
	objects.Start(ctx.Done())
	close(started)
	return nil
}
