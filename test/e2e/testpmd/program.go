package testpmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// Limits for what takes seconds in an idle guest.
const (
	startLimit = 90 * time.Second
	endLimit   = 30 * time.Second
)

// Program is a testpmd in a container.
type Program struct {
	guest     *lab.Guest
	cri       *lab.CRI
	container string
	ports     int
}

// Start makes a container for a testpmd in a sandbox, starts it, and waits until every port is up.
func Start(ctx context.Context, guest *lab.Guest, cri *lab.CRI, sandbox string, o Options) (*Program, error) {
	container, err := cri.Launch(ctx, sandbox, Container(o))
	if err != nil {
		return nil, fmt.Errorf("start testpmd: %w", err)
	}
	p := Of(guest, cri, container, len(o.Devices))
	return p, p.Await(ctx)
}

// Of is the testpmd with so many ports of a container that was made from Container and started.
func Of(guest *lab.Guest, cri *lab.CRI, container string, ports int) *Program {
	return &Program{guest: guest, cri: cri, container: container, ports: ports}
}

// ContainerID is the container that it runs in.
func (p *Program) ContainerID() string { return p.container }

// Await waits until every port is up: its counters were printed once. A device that testpmd cannot use ends the waiting.
func (p *Program) Await(ctx context.Context) error {
	err := lab.Eventually(ctx, startLimit, func(ctx context.Context) error {
		status, err := p.cri.ContainerStatus(ctx, p.container)
		if err != nil {
			return err
		}
		said, err := p.guest.ReadFile(ctx, status.Log)
		if err != nil {
			return err
		}
		report, err := Parse(string(said))
		if err != nil {
			return lab.GiveUp(err)
		}
		if !report.up(p.ports) {
			err = fmt.Errorf("not all of its %d ports are up; it said last:\n%s", p.ports, last(string(said)))
		}
		if !status.Running || slices.ContainsFunc(report.Complaints, hopeless) {
			return lab.GiveUp(cmp.Or(err, errors.New("it has ended")))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for testpmd in container %s: %w", p.container, err)
	}
	return nil
}

// hopeless is a complaint after which testpmd goes on with no port or fewer.
func hopeless(complaint string) bool {
	return strings.Contains(complaint, "cannot be used") || strings.Contains(complaint, "No probed ethernet devices")
}

func (r Report) up(ports int) bool {
	if len(r.Ports) < ports {
		return false
	}
	for _, port := range r.Ports {
		if port.Readings == 0 {
			return false
		}
	}
	return true
}

// Report is what it has said so far; the counters are a second old or less.
func (p *Program) Report(ctx context.Context) (Report, error) {
	said, err := p.Output(ctx)
	if err != nil {
		return Report{}, err
	}
	return Parse(said)
}

// Output is all that it has printed, as a container's log.
func (p *Program) Output(ctx context.Context) (string, error) {
	status, err := p.cri.ContainerStatus(ctx, p.container)
	if err != nil {
		return "", err
	}
	text, err := p.guest.ReadFile(ctx, status.Log)
	return string(text), err
}

// Until waits until what it says of a port is as wanted, and returns that.
func (p *Program) Until(ctx context.Context, limit time.Duration, port int, wanted func(Port) bool) (Port, error) {
	var last Port
	err := lab.Eventually(ctx, limit, func(ctx context.Context) error {
		report, err := p.Report(ctx)
		last = report.Ports[port]
		if err == nil && !wanted(last) {
			err = fmt.Errorf("port %d is not as wanted: %+v", port, last)
		}
		return err
	})
	if err != nil {
		return last, fmt.Errorf("wait for testpmd in container %s: %w", p.container, err)
	}
	return last, nil
}

// Kill kills it as the kernel would, without a chance to give anything back, and waits until the runtime knows.
func (p *Program) Kill(ctx context.Context) error { return p.end(ctx, syscall.SIGKILL) }

// Stop has it end by itself, and returns its last report, which says what each port Forwarded.
func (p *Program) Stop(ctx context.Context) (Report, error) {
	if err := p.end(ctx, syscall.SIGTERM); err != nil {
		return Report{}, err
	}
	report, err := p.Report(ctx)
	if err != nil {
		return Report{}, err
	}
	for number, port := range report.Ports {
		if port.Forwarded == nil {
			return report, fmt.Errorf("testpmd in container %s ended without its counters of port %d", p.container, number)
		}
	}
	return report, nil
}

func (p *Program) end(ctx context.Context, signal syscall.Signal) error {
	status, err := p.cri.ContainerStatus(ctx, p.container)
	if err == nil && status.PID == 0 {
		err = errors.New("it does not run")
	}
	if err == nil {
		_, err = p.guest.Run(ctx, "kill", fmt.Sprintf("-%d", signal), fmt.Sprint(status.PID))
	}
	if err == nil {
		err = lab.Eventually(ctx, endLimit, func(ctx context.Context) error {
			status, err := p.cri.ContainerStatus(ctx, p.container)
			if err == nil && status.Running {
				err = errors.New("it still runs")
			}
			return err
		})
	}
	if err != nil {
		said, _ := p.Output(ctx) // for whoever reads the error; without it, it is as true
		return fmt.Errorf("end testpmd in container %s: %w\n%s", p.container, err, last(said))
	}
	return nil
}

// last is the end of a text.
func last(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
