package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/kube/deviceplugin"
	"github.com/nri-sriov/nri-sriov/pkg/kube/kubetest"
	"github.com/nri-sriov/nri-sriov/pkg/kube/podresources"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	resA, resB, resFast = "sriov.nri.io/a", "sriov.nri.io/b", "sriov.nri.io/fast"

	testConfig = `
apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - name: a
  - name: b
  - name: other
    resourceName: intel.com/sriov
`
)

// bench is a node with VFs, a kubelet, and what is between them.
type bench struct {
	*testing.T
	*Kubelet
	kubelet *kubetest.Kubelet
	pool    *inventory.Pool
	ready   atomic.Bool
}

func quickTimes() Times {
	return Times{
		Poll: 50 * time.Millisecond, Soon: 5 * time.Millisecond, Again: time.Millisecond, MaxAgain: 5 * time.Millisecond, Unknown: 50 * time.Millisecond,
		Plugin: deviceplugin.Times{Look: time.Hour, Again: 5 * time.Millisecond, MaxAgain: 20 * time.Millisecond, Register: time.Second, Watch: time.Second},
	}
}

func parse(t *testing.T, text string) *config.Node {
	t.Helper()
	node, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// newBench starts a kubelet and what deals with it; stop ends the latter.
func newBench(t *testing.T, pfs, vfs int) (b *bench, stop func()) {
	t.Helper()
	return newBenchWith(t, pfs, vfs, quickTimes())
}

func newBenchWith(t *testing.T, pfs, vfs int, times Times) (b *bench, stop func()) {
	t.Helper()
	b = &bench{T: t, kubelet: kubetest.New(t), pool: inventory.NewPool(attachtest.NewWorld(pfs, vfs).Providers())}
	b.ready.Store(true)
	stop = b.startWith(times)
	b.kubelet.Start()
	return b, stop
}

func (b *bench) start() (stop func()) {
	b.Helper()
	return b.startWith(quickTimes())
}

func (b *bench) startWith(times Times) (stop func()) {
	b.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	var err error
	b.Kubelet, err = New(Options{Dir: b.kubelet.Dir, Pool: b.pool, Ready: b.ready.Load, Times: times, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	b.Configure(parse(b.T, testConfig))
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	k := b.Kubelet
	ended.Go(func() { k.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		ended.Wait()
	})
	b.Cleanup(stop)
	return stop
}

// health draws a resource's devices in their order: + healthy, - not.
func (b *bench) health(resource string) string {
	text := b.kubelet.Devices(resource)
	if text == "not registered" {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case 'H':
			return '+'
		case 'U':
			return '-'
		}
		return -1
	}, text)
}

func (b *bench) eventually(a, c string) {
	b.Helper()
	b.kubelet.Eventually("a "+a+" b "+c, func() string { return "a " + b.health(resA) + " b " + b.health(resB) })
}

// listed waits until the kubelet has told of the first pod that was given a VF.
func (b *bench) listed(id string) {
	b.Helper()
	address, err := vf.ParsePCIAddress(id)
	if err != nil {
		b.Fatal(err)
	}
	b.kubelet.Eventually("true", func() string {
		b.mutex.Lock()
		defer b.mutex.Unlock()
		return fmt.Sprint(len(b.ledger[address]) > 0 && b.ledger[address][0].listed)
	})
}

func claim(pool *inventory.Pool, sandbox string, g inventory.Group) (vf.PCIAddress, error) {
	g.Name, g.Count = "n", 1
	c, err := pool.Claim(inventory.Request{Sandbox: sandbox, Groups: []inventory.Group{g}})
	if err != nil {
		return vf.PCIAddress{}, err
	}
	select {
	case <-c.Granted:
		return c.VFs[0][0].Address, nil
	default:
		pool.Unclaim(sandbox)
		return vf.PCIAddress{}, fmt.Errorf("%s waits", sandbox)
	}
}

func gave(resource string, ids ...string) inventory.Group {
	g := inventory.Group{Resource: resource}
	for _, id := range ids {
		address, err := vf.ParsePCIAddress(id)
		if err != nil {
			panic(err)
		}
		g.From = append(g.From, address)
	}
	return g
}

// TestOneVFInTwoNetworks: what one network's pod has or was given, no other network's pod is given, and nobody without.
func TestOneVFInTwoNetworks(t *testing.T) {
	b, _ := newBench(t, 1, 2)
	b.eventually("++", "++")
	if got := b.kubelet.Devices("intel.com/sriov"); got != "not registered" {
		t.Errorf("another plugin's resource: %s", got)
	}
	ids, annotations, err := b.kubelet.Admit("prod/web", "app", resA, 1)
	if err != nil || annotations["sriov.nri.io/given.a"] != ids[0] || len(annotations) != 1 {
		t.Fatalf("%v, %v, %v", ids, annotations, err)
	}
	b.eventually("++", "-+") // the first, since claims prefer none
	if _, err := claim(b.pool, "annotation", inventory.Group{}); err != nil {
		t.Fatal(err)
	}
	b.eventually("+-", "--")
	if _, _, err := b.kubelet.Admit("prod/second", "app", resB, 1); err == nil {
		t.Error("a VF was given twice")
	}
	first, err := claim(b.pool, "web", gave(resA, ids...))
	if err != nil || first.String() != ids[0] {
		t.Fatalf("%s, %v", first, err)
	}
	b.pool.Attach("web", first)
	b.eventually("+-", "--")
	b.listed(ids[0])
	b.kubelet.End("prod/web")
	b.pool.Release("web", first, "")
	b.pool.Free("web", first)
	b.eventually("+-", "+-")
}

// TestSameSecond: the kubelet gives the last VF to pods of two networks before it has heard of either. The second is
// counted and has to wait; when the first has ended, it gets the VF.
func TestSameSecond(t *testing.T) {
	b, _ := newBench(t, 1, 1)
	b.eventually("+", "+")
	only := attachtest.VFAddress(0, 0).String()
	for pod, resource := range map[string]string{"prod/first": resA} {
		if _, err := b.kubelet.Allocate(pod, "app", resource, []string{only}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.kubelet.Allocate("prod/second", "app", resB, []string{only}); err != nil {
		t.Fatalf("the kubelet ends a pod for good whose devices are refused: %v", err)
	}
	b.eventually("+", "-")
	if got, err := claim(b.pool, "second", gave(resB, only)); err == nil || !strings.Contains(err.Error(), "was given to a pod with sriov.nri.io/a before") {
		t.Fatalf("the second has %s, %v", got, err)
	}
	address, err := claim(b.pool, "first", gave(resA, only))
	if err != nil {
		t.Fatal(err)
	}
	b.pool.Attach("first", address)
	b.listed(only)
	b.kubelet.End("prod/first")
	b.pool.Release("first", address, "")
	b.pool.Free("first", address)
	b.eventually("-", "+")
	if _, err := claim(b.pool, "second", gave(resB, only)); err != nil {
		t.Fatal(err)
	}
}

// TestSharedVFIsToldBeforeTheAnswer: the kubelet chooses for a pod's second resource right after its first.
func TestSharedVFIsToldBeforeTheAnswer(t *testing.T) {
	for range 10 {
		b, stop := newBench(t, 1, 1)
		b.eventually("+", "+")
		if _, _, err := b.kubelet.Admit("prod/both", "app", resA, 1); err != nil {
			t.Fatal(err)
		}
		if ids, _, err := b.kubelet.Admit("prod/both", "app", resB, 1); !errors.Is(err, kubetest.ErrNone) {
			t.Fatalf("the node's only VF, which the pod was given for a, is given to it for b: %v, %v", ids, err)
		}
		stop()
	}
}

// TestPreferredAvoidsWhatIsTaken: the kubelet's own view is older than ours.
func TestPreferredAvoidsWhatIsTaken(t *testing.T) {
	b, _ := newBench(t, 1, 2)
	b.eventually("++", "++")
	first, second := attachtest.VFAddress(0, 0).String(), attachtest.VFAddress(0, 1).String()
	if _, err := b.Allocate(resA, []string{first}); err != nil {
		t.Fatal(err)
	}
	if got := b.Prefer(resB, []string{first, second}, nil, 1); !slices.Equal(got, []string{second}) {
		t.Errorf("it prefers %v", got)
	}
}

// TestUnknownDeviceIsRefused by name.
func TestUnknownDeviceIsRefused(t *testing.T) {
	b, _ := newBench(t, 1, 2)
	b.eventually("++", "++")
	for _, id := range []string{"0000:7f:00.0", "nonsense", ""} {
		if _, err := b.kubelet.Allocate("prod/web", "app", resA, []string{attachtest.VFAddress(0, 0).String(), id}); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("nri-sriov: sriov.nri.io/a has no device %q: it is not among its 2 VFs on this node any more", id)) {
			t.Errorf("%q: %v", id, err)
		}
	}
	b.eventually("++", "++")
}

// TestPodThatNeverComes: what it was given is free again when the kubelet does not know of it any more.
func TestPodThatNeverComes(t *testing.T) {
	b, _ := newBench(t, 1, 1)
	b.eventually("+", "+")
	if _, _, err := b.kubelet.Admit("prod/web", "app", resA, 1); err != nil {
		t.Fatal(err)
	}
	b.eventually("+", "-")
	b.listed(attachtest.VFAddress(0, 0).String())
	b.kubelet.End("prod/web")
	b.eventually("+", "+")
	if b.Promised() {
		t.Error("it is promised still")
	}
}

// TestDaemonIsRestarted: the promises are in the kubelet's list, also those for other plugins' resources.
func TestDaemonIsRestarted(t *testing.T) {
	b, stop := newBench(t, 1, 3)
	b.eventually("+++", "+++")
	if _, _, err := b.kubelet.Admit("prod/web", "app", resA, 1); err != nil {
		t.Fatal(err)
	}
	b.kubelet.Give("prod/else", "app", "intel.com/sriov", attachtest.VFAddress(0, 2).String())
	stop()
	b.pool = inventory.NewPool(attachtest.NewWorld(1, 3).Providers())
	b.start()
	b.eventually("++-", "-+-")
	if got, err := claim(b.pool, "annotation", inventory.Group{}); err != nil || got != attachtest.VFAddress(0, 1) {
		t.Errorf("%s, %v", got, err)
	}
}

// TestKubeletIsRestarted with pods that have VFs: it is told of all anew, and they stay what they are.
func TestKubeletIsRestarted(t *testing.T) {
	b, _ := newBench(t, 1, 2)
	b.eventually("++", "++")
	ids, _, err := b.kubelet.Admit("prod/web", "app", resA, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claim(b.pool, "web", gave(resA, ids...)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.kubelet.Stop()
		b.kubelet.Start()
		b.eventually("++", "-+")
	}
}

// TestKubeletThatKnowsNotAllPodsYet: what it gave away stays so until it has had the time to hear of its pods; of static ones it
// hears first.
func TestKubeletThatKnowsNotAllPodsYet(t *testing.T) {
	for _, static := range []bool{false, true} {
		times := quickTimes()
		times.Fresh = time.Second
		b, _ := newBenchWith(t, 1, 1, times)
		b.eventually("+", "+")
		ids, _, err := b.kubelet.Admit("prod/web", "app", resA, 1)
		if err != nil {
			t.Fatal(err)
		}
		b.listed(ids[0])
		time.Sleep(times.Fresh) // until it would be believed
		b.kubelet.Stop()
		begun := time.Now()
		b.kubelet.End("prod/web")
		if static {
			b.kubelet.Give("kube-system/static", "app", "")
		}
		b.kubelet.Start()
		asked := b.kubelet.Asked("List")
		b.kubelet.Eventually("true", func() string { return fmt.Sprint(b.kubelet.Asked("List") > asked+2) })
		if promised := b.Promised(); !promised && time.Since(begun) < times.Fresh {
			t.Fatal("a kubelet that has just started was believed at once")
		}
		b.kubelet.Give("prod/web", "app", resA, ids...)
		time.Sleep(times.Fresh + 100*time.Millisecond)
		if !b.Promised() {
			t.Fatal("it is forgotten that the kubelet told of the pod again")
		}
		b.kubelet.End("prod/web")
		b.eventually("+", "+")
	}
}

// TestFirstListWithoutPods is none: at boot, who comes for what was free must not get what the kubelet gave to another.
func TestFirstListWithoutPods(t *testing.T) {
	times := quickTimes()
	times.Fresh = time.Hour
	b, _ := newBenchWith(t, 1, 2, times)
	asked := b.kubelet.Asked("List")
	b.kubelet.Eventually("true", func() string { return fmt.Sprint(b.kubelet.Asked("List") > asked+1) })
	if b.wasTold() {
		t.Error("a list without any pod counts as told")
	}
	b.kubelet.Give("prod/first", "app", resA, attachtest.VFAddress(0, 0).String())
	b.kubelet.Give("prod/web", "app", "")
	if _, err := b.Given(t.Context(), "prod", "web"); err != nil {
		t.Fatal(err)
	}
	if got, err := claim(b.pool, "web", inventory.Group{}); err != nil || got != attachtest.VFAddress(0, 1) {
		t.Errorf("the pod with an annotation alone has %s, %v", got, err)
	}
}

// TestChangesAreToldAtOnce: nobody looks from time to time.
func TestChangesAreToldAtOnce(t *testing.T) {
	b, stop := newBench(t, 1, 2)
	b.eventually("++", "++")
	stop()
	times := quickTimes()
	times.Poll, times.Soon = time.Hour, time.Hour
	b.startWith(times)
	b.eventually("++", "++")
	address, err := claim(b.pool, "annotation", inventory.Group{})
	if err != nil {
		t.Fatal(err)
	}
	b.eventually("-+", "-+")
	b.pool.Attach("annotation", address)
	b.pool.Release("annotation", address, "")
	b.pool.Free("annotation", address)
	b.eventually("++", "++")
	if _, err := b.kubelet.Allocate("prod/web", "app", resA, []string{attachtest.VFAddress(0, 1).String()}); err != nil {
		t.Fatal(err)
	}
	b.eventually("++", "+-")
}

// TestNotReady: while pods would start without what they are given, nothing is offered, and nobody loses what he has.
func TestNotReady(t *testing.T) {
	b, _ := newBench(t, 1, 2)
	b.eventually("++", "++")
	if _, _, err := b.kubelet.Admit("prod/web", "app", resA, 1); err != nil {
		t.Fatal(err)
	}
	b.ready.Store(false)
	b.eventually("+-", "--")
	b.ready.Store(true)
	b.eventually("++", "-+")
}

// TestConfigChanges: networks come and go without a restart.
func TestConfigChanges(t *testing.T) {
	b, _ := newBench(t, 1, 2)
	b.eventually("++", "++")
	b.Configure(parse(t, `{apiVersion: sriov.nri.io/v1alpha1, kind: NodeConfig, networks: [{name: a, requireResource: true}, {name: fast}]}`))
	b.kubelet.Eventually("++ false", func() string { return b.health(resA) + fmt.Sprint(" ", strings.Contains(b.health(resB), "+")) })
	b.kubelet.Eventually("++", func() string { return b.health(resFast) })
	if got := b.Devices(resB); len(got) != 0 {
		t.Errorf("the network that is no more offers %v", got)
	}
}

// TestGiven: the answer is waited for, also of a kubelet that is away, slow, or has just started.
func TestGiven(t *testing.T) {
	b, _ := newBench(t, 1, 2)
	b.eventually("++", "++")
	id := attachtest.VFAddress(0, 1).String()
	b.kubelet.Give("prod/web", "app", "intel.com/sriov", id)
	want := []podresources.Device{{Container: "app", Resource: "intel.com/sriov", ID: id}}
	if got, err := b.Given(t.Context(), "prod", "web"); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := claim(b.pool, "annotation", gave(resA, id)); err == nil {
		t.Error("what is another's by the answer is given away")
	}
	begun := time.Now()
	if got, err := b.Given(t.Context(), "prod", "unknown"); err != nil || len(got) != 0 || time.Since(begun) < 50*time.Millisecond {
		t.Errorf("a pod that the kubelet does not know: %+v, %v after %s", got, err, time.Since(begun))
	}
	late := make(chan error, 1)
	go func() {
		_, err := b.Given(t.Context(), "prod", "late")
		late <- err
	}()
	b.kubelet.Give("prod/late", "app", "")
	if err := <-late; err != nil {
		t.Error(err)
	}
	b.kubelet.Twice("prod/web", true)
	b.kubelet.NoGet(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.Given(ctx, "prod", "web"); err == nil || !strings.Contains(err.Error(), "two pods of this name") {
		t.Errorf("two pods: %v", err)
	}
	b.kubelet.Stop()
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.Given(ctx, "prod", "web"); err == nil || !strings.Contains(err.Error(), "no answer within") {
		t.Errorf("without kubelet: %v", err)
	}
	go func() {
		_, err := b.Given(t.Context(), "prod", "web")
		late <- err
	}()
	time.Sleep(20 * time.Millisecond)
	b.kubelet.Twice("prod/web", false)
	b.kubelet.Start()
	if err := <-late; err != nil {
		t.Error(err)
	}
}

// TestKubeletThatHasJustStarted knows no pod at first, which is no answer, however long it was away before.
func TestKubeletThatHasJustStarted(t *testing.T) {
	b, stop := newBench(t, 1, 2)
	b.eventually("++", "++")
	stop()
	times := quickTimes()
	times.Unknown = 300 * time.Millisecond
	b.startWith(times)
	b.eventually("++", "++")
	b.kubelet.Stop()
	answer := make(chan []podresources.Device, 1)
	go func() {
		devices, err := b.Given(t.Context(), "prod", "web")
		if err != nil {
			t.Error(err)
		}
		answer <- devices
	}()
	time.Sleep(times.Unknown + 50*time.Millisecond)
	b.kubelet.Start()
	asked := b.kubelet.Asked("Get")
	b.kubelet.Eventually("true", func() string { return fmt.Sprint(b.kubelet.Asked("Get") > asked+1) })
	b.kubelet.Give("prod/web", "app", resA, attachtest.VFAddress(0, 1).String())
	if got := <-answer; len(got) != 1 {
		t.Errorf("it was given %v", got)
	}
}

// TestFirstListIsWaitedFor: a daemon that starts before the kubelet does learns what was given away as soon as it can, and
// tells nobody what he was given before.
func TestFirstListIsWaitedFor(t *testing.T) {
	b, stop := newBench(t, 1, 2)
	b.eventually("++", "++")
	stop()
	b.kubelet.Stop()
	b.kubelet.Give("prod/first", "app", resA, attachtest.VFAddress(0, 0).String())
	b.kubelet.Give("prod/web", "app", "")
	restarted := func(soon time.Duration) (stop func()) {
		b.pool = inventory.NewPool(attachtest.NewWorld(1, 2).Providers())
		times := quickTimes()
		times.Poll, times.Soon = time.Hour, soon
		stop = b.startWith(times)
		b.kubelet.Eventually("true", func() string { // a list was asked for
			b.mutex.Lock()
			defer b.mutex.Unlock()
			return fmt.Sprint(b.mute)
		})
		time.Sleep(20 * time.Millisecond) // and the one of poll
		return stop
	}
	stop = restarted(10 * time.Millisecond)
	b.kubelet.Start()
	b.kubelet.Eventually("true", func() string { return fmt.Sprint(b.Promised()) })
	stop()
	b.kubelet.Stop()
	restarted(time.Hour)
	b.kubelet.Start()
	if _, err := b.Given(t.Context(), "prod", "web"); err != nil {
		t.Fatal(err)
	}
	if got, err := claim(b.pool, "web", inventory.Group{}); err != nil || got != attachtest.VFAddress(0, 1) {
		t.Errorf("the pod with an annotation alone has %s, %v", got, err)
	}
}

// TestPrefer: near to each other, of several PFs or of one.
func TestPrefer(t *testing.T) {
	var offers []inventory.Offer
	var all []string
	for pf, numa := range []int{0, 1, 1} {
		for id := range []int{2, 3, 2}[pf] {
			one := inventory.Offer{Address: attachtest.VFAddress(pf, id), PF: vf.PCIAddress{Bus: uint8(pf + 1)}, NUMANode: numa}
			offers, all = append(offers, one), append(all, one.Address.String())
		}
	}
	for _, c := range []struct {
		must, taken []string
		size        int
		pack        bool
		want        string
	}{
		{nil, nil, 1, false, "1.0"},
		{nil, nil, 2, false, "1.0 2.0"},
		{nil, nil, 3, false, "1.0 2.0 1.1"},
		{nil, nil, 2, true, "0.0 0.1"},
		{nil, nil, 3, true, "1.0 1.1 1.2"},
		{nil, nil, 4, true, "1.0 1.1 1.2 2.0"},
		{nil, nil, 7, false, "1.0 2.0 1.1 2.1 1.2 0.0 0.1"},
		{[]string{all[0]}, nil, 2, false, "0.0 0.1"},
		{[]string{all[0]}, nil, 3, false, "0.0 0.1 1.0"},
		{[]string{all[6]}, nil, 2, true, "2.1 2.0"},
		{nil, []string{all[2], all[5], all[6]}, 2, false, "0.0 0.1"},
		{nil, nil, 9, false, "1.0 2.0 1.1 2.1 1.2 0.0 0.1"},
	} {
		these := slices.Clone(offers)
		for i := range these {
			if slices.Contains(c.taken, all[i]) {
				these[i].Reason = "is in use"
			}
		}
		var got []string
		for _, id := range prefer(these, all, c.must, c.size, c.pack) {
			i := slices.Index(all, id)
			got = append(got, fmt.Sprintf("%d.%d", offers[i].PF.Bus-1, offers[i].Address.Function))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%d, pack %v, must %v, taken %v: %v, wanted %s", c.size, c.pack, c.must, c.taken, got, c.want)
		}
	}
}
