// The control plane of the sandbox in one process: etcd, kube-apiserver, and
// the three controllers of kube-controller-manager without which deleted
// objects and namespaces would stay for ever.
//
//	control-plane --data-dir <folder> [flags of kube-apiserver]
//
// It listens where the flags of kube-apiserver say; etcd is reached through a
// socket in the working directory, so that nobody else on the machine can.
// It ends on SIGTERM, on SIGINT, and when its standard input closes: the
// kernel closes that pipe however the parent ends, so nothing is left behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	apiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// Open watches hold up the end of an API server for a minute; nothing that is
// still under way in the sandbox is worth more than this.
const grace = time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "control-plane:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("control-plane", pflag.ContinueOnError)
	dataDir := flags.String("data-dir", "", "folder for the data of etcd")
	for _, set := range opts.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dataDir == "" {
		return errors.New("--data-dir is missing: name a folder for the data of etcd")
	}

	etcd, socket, err := startEtcd(*dataDir)
	if err != nil {
		return fmt.Errorf("etcd on %s: %w", *dataDir, err)
	}
	// Close would wait for the watches of the API server to end; this closes the files all the same.
	defer etcd.Server.HardStop()
	opts.Etcd.StorageConfig.Transport.ServerList = []string{socket}

	served := make(chan error, 1)
	go func() { served <- serve(ctx, opts) }()
	select {
	case err := <-served:
		return err
	case err := <-etcd.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
	}
	select {
	case err := <-served:
		return err
	case <-time.After(grace):
		return nil
	}
}

// startEtcd returns once etcd answers on the socket whose address it returns.
func startEtcd(dir string) (*embed.Etcd, string, error) {
	client := url.URL{Scheme: "unix", Host: "etcd.sock"}
	// etcd wants a port in this address; it becomes part of the name of the socket.
	peer := url.URL{Scheme: "unix", Host: "etcd-peer.sock:0"}
	config := embed.NewConfig()
	config.Dir = dir
	config.ListenClientUrls = []url.URL{client}
	config.ListenPeerUrls = []url.URL{peer}
	config.AdvertisePeerUrls = []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.UnsafeNoFsync = true
	config.LogLevel = "error"
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, "", err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, client.String(), nil
	case err := <-etcd.Err():
		return nil, "", err
	case <-time.After(time.Minute):
		etcd.Close()
		return nil, "", errors.New("not ready after a minute")
	}
}

// serve runs the API server and, inside it, the controllers, until ctx ends.
func serve(ctx context.Context, opts *options.ServerRunOptions) error {
	// The API server warns its own loopback client about deprecations.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	// By itself kube-apiserver leaves localhost out when it listens on an address.
	names := []string{"localhost", "kubernetes.default.svc", "kubernetes.default", "kubernetes"}
	loopback := net.IPv4(127, 0, 0, 1)
	if err := opts.SecureServing.MaybeDefaultWithSelfSignedCerts(loopback.String(), names, nil); err != nil {
		return err
	}
	completed, err := opts.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return utilerrors.NewAggregate(errs)
	}
	config, err := app.NewConfig(completed)
	if err != nil {
		return err
	}
	chain, err := config.Complete()
	if err != nil {
		return err
	}
	server, err := app.CreateServerChain(chain)
	if err != nil {
		return err
	}
	err = server.GenericAPIServer.AddPostStartHook("sandbox-controllers",
		func(hook apiserver.PostStartHookContext) error {
			return startControllers(hook.Context, hook.LoopbackClientConfig)
		})
	if err != nil {
		return err
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return err
	}
	return prepared.Run(ctx)
}
