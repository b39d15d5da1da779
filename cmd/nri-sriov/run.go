package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"syscall"

	"github.com/containerd/nri/pkg/api"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
)

// runFlags are the flags of `nri-sriov run`.
type runFlags struct {
	config, stateDir, runDir, nriSocket, pluginName, pluginIndex, listen, logLevel, logFormat, sysfs string
	kubernetes                                                                                       kubernetesFlags
}

const (
	defaultConfig   = "/etc/nri-sriov/config.yaml"
	defaultStateDir = "/var/lib/nri-sriov"
	defaultRunDir   = "/run/nri-sriov"
)

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run", Short: "The daemon", Args: cobra.NoArgs,
		Long: "The daemon: connects to the runtime's NRI socket, again and again for as long as it runs.\n" +
			"Started by containerd as a pre-installed plugin, it uses the connection and the config that containerd gives it.",
		PreRunE: func(*cobra.Command, []string) error { return f.check() },
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return run(ctx, f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", defaultConfig, "the node's config; without the file, every PF that has VFs is offered")
	flags.StringVar(&f.stateDir, "state-dir", defaultStateDir, "where the journal is kept")
	flags.StringVar(&f.runDir, "run-dir", defaultRunDir, "where results and the daemon's socket are")
	flags.StringVar(&f.nriSocket, "nri-socket", api.DefaultSocketPath, "the runtime's NRI socket")
	flags.StringVar(&f.pluginName, "plugin-name", "nri-sriov", "the name to register with")
	flags.StringVar(&f.pluginIndex, "plugin-index", "10", "the place among the runtime's plugins, 00 to 99")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:9808", "where /healthz and /readyz are served; empty: nowhere")
	flags.StringVar(&f.logLevel, "log-level", "info", "error, warn, info, debug or trace")
	flags.StringVar(&f.logFormat, "log-format", "text", "text or json")
	flags.StringVar(&f.sysfs, "sysfs", "/sys", "where sysfs is mounted")
	f.kubernetes.add(cmd)
	return cmd
}

var pluginIndexForm = regexp.MustCompile(`^[0-9]{2}$`)

func (f *runFlags) check() error {
	if !pluginIndexForm.MatchString(f.pluginIndex) {
		return fmt.Errorf("--plugin-index %q is not a number of two digits from 00 to 99", f.pluginIndex)
	}
	if _, err := logrus.ParseLevel(f.logLevel); err != nil {
		return fmt.Errorf("--log-level %q is none of error, warn, info, debug, trace", f.logLevel)
	}
	if f.logFormat != "text" && f.logFormat != "json" {
		return fmt.Errorf("--log-format %q is none of text, json", f.logFormat)
	}
	return f.kubernetes.check(os.Getenv, fileExists)
}

// logTime tells apart what happens within a second.
const logTime = "2006-01-02T15:04:05.000Z07:00"

func (f *runFlags) logger() *logrus.Logger {
	log := logrus.New()
	level, err := logrus.ParseLevel(f.logLevel)
	if err != nil {
		panic("a log level that was checked: " + err.Error())
	}
	log.SetLevel(level)
	if f.logFormat == "json" {
		log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: logTime})
	} else {
		log.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true, TimestampFormat: logTime})
	}
	return log
}

func run(ctx context.Context, f runFlags) error {
	spareMemory()
	// Until the config is watched a SIGHUP would end the daemon; what it is about is read anew then in any case.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	log := f.logger()
	log.WithFields(logrus.Fields{"version": version, "nri": moduleVersion("github.com/containerd/nri")}).Info("nri-sriov starts")
	d := &daemon{flags: f, log: log, meters: newMeters()}
	d.failed = make(chan error, 1)
	if os.Getenv(api.PluginSocketEnvVar) != "" {
		return d.runPreinstalled(ctx)
	}
	node, err := d.loadConfig()
	if err != nil {
		d.lastWords(ctx, refusedConfig{err})
		return err
	}
	if node.Source == "" {
		log.WithField("file", f.config).Info("no config file: every PF that has VFs is offered, in the network \"default\"")
	}
	d.plugin = hooks.New(log, func(string) error {
		d.connected.Store(true)
		return nil
	})
	if err := d.start(ctx, node); err != nil {
		d.stop()
		if ctx.Err() != nil {
			return nil // told to end before it was ready
		}
		return err
	}
	defer d.stop()
	return d.serveRuntime(ctx, true)
}

// spareMemory has garbage collected when the heap has grown by half, not by all: what the daemon keeps lives long, what it
// does takes little of a CPU, and each node pays for its memory. GOGC says otherwise.
func spareMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// runPreinstalled is the plugin as containerd starts it: one connection, and its end is ours. The config comes with the
// connection, and must be answered at once, so that the node is made ready beside it; pods that ask meanwhile are
// refused and tried again by the kubelet.
func (d *daemon) runPreinstalled(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	started := make(chan struct{})
	begun := false
	d.plugin = hooks.New(d.log, func(text string) error {
		d.connected.Store(true)
		node, err := d.preinstalledConfig(text)
		if err != nil || begun {
			return err
		}
		begun = true
		go func() {
			defer close(started)
			if err := d.start(ctx, node); err != nil && ctx.Err() == nil {
				d.failed <- err
			}
		}()
		return nil
	})
	d.plugin.StandAside(d.otherServes)
	err := d.serveRuntime(ctx, false)
	cancel()
	if begun {
		<-started
		d.stop()
	}
	return err
}

func (d *daemon) preinstalledConfig(text string) (*config.Node, error) {
	if text == "" {
		return d.loadConfig()
	}
	node, err := config.Parse("config of plugin "+os.Getenv(api.PluginIdxEnvVar)+"-"+os.Getenv(api.PluginNameEnvVar), []byte(text))
	if err != nil {
		return nil, errors.Join(errors.New("the config that containerd passes is not valid"), err)
	}
	return node, nil
}

// otherServes asks whether another daemon, for whose end this one waits, serves the node.
func (d *daemon) otherServes(ctx context.Context) bool {
	var answer struct{}
	return newClient(d.flags.runDir).do(ctx, "GET", "/v1/serving", &answer) == nil
}
