package podresources_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/kube/kubetest"
	"github.com/nri-sriov/nri-sriov/pkg/kube/podresources"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newClient(t *testing.T, kubelet *kubetest.Kubelet) *podresources.Client {
	t.Helper()
	client, err := podresources.New(podresources.Socket(kubelet.Dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// TestPod: in one order, whatever the kubelet's; of all containers, also where they share a device.
func TestPod(t *testing.T) {
	kubelet := kubetest.New(t)
	kubelet.Start()
	kubelet.Give("prod/web", "b", "sriov.nri.io/public", "0000:01:10.2", "0000:01:10.0")
	kubelet.Give("prod/web", "a", "sriov.nri.io/public", "0000:01:10.0")
	kubelet.Give("prod/web", "a", "intel.com/x", "0000:02:10.0")
	kubelet.Give("prod/other", "a", "sriov.nri.io/public", "0000:01:10.4")
	kubelet.Give("prod/bare", "a", "")
	want := []podresources.Device{
		{Container: "a", Resource: "intel.com/x", ID: "0000:02:10.0"},
		{Container: "a", Resource: "sriov.nri.io/public", ID: "0000:01:10.0"},
		{Container: "b", Resource: "sriov.nri.io/public", ID: "0000:01:10.0"},
		{Container: "b", Resource: "sriov.nri.io/public", ID: "0000:01:10.2"},
	}
	client := newClient(t, kubelet)
	for _, noGet := range []bool{false, true} {
		kubelet.NoGet(noGet)
		for range 3 {
			if pod, err := client.Pod(t.Context(), "prod", "web"); err != nil || !slices.Equal(pod.Devices, want) {
				t.Errorf("without Get %v: %+v, %v", noGet, pod, err)
			}
		}
		if pod, err := client.Pod(t.Context(), "prod", "bare"); err != nil || len(pod.Devices) != 0 {
			t.Errorf("without Get %v: %+v, %v", noGet, pod, err)
		}
		if _, err := client.Pod(t.Context(), "prod", "none"); !errors.Is(err, podresources.ErrNoPod) {
			t.Errorf("without Get %v: %v", noGet, err)
		}
	}
	if asked := kubelet.Asked("Get"); asked > 6 {
		t.Errorf("a kubelet without Get was asked for it again and again: %d", asked)
	}
	if pods, err := client.List(t.Context()); err != nil || len(pods) != 3 || pods[0].Name != "web" || pods[1].Namespace != "prod" {
		t.Errorf("%+v, %v", pods, err)
	}
}

// TestTwoPodsOfOneName: old kubelets list pods that have ended.
func TestTwoPodsOfOneName(t *testing.T) {
	kubelet := kubetest.New(t)
	kubelet.NoGet(true)
	kubelet.Start()
	kubelet.Give("prod/web-0", "a", "sriov.nri.io/public", "0000:01:10.0")
	kubelet.Twice("prod/web-0", true)
	client := newClient(t, kubelet)
	if _, err := client.Pod(t.Context(), "prod", "web-0"); !errors.Is(err, podresources.ErrTwoPods) {
		t.Fatal(err)
	}
	kubelet.Twice("prod/web-0", false)
	if _, err := client.Pod(t.Context(), "prod", "web-0"); err != nil {
		t.Fatal(err)
	}
}

// TestKubeletAway: the question ends in time, and succeeds when the kubelet is back.
func TestKubeletAway(t *testing.T) {
	kubelet := kubetest.New(t)
	client := newClient(t, kubelet)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := client.Pod(ctx, "prod", "web"); err == nil || errors.Is(err, podresources.ErrNoPod) {
		t.Errorf("without kubelet: %v", err)
	}
	kubelet.Give("prod/web", "a", "")
	for range 2 {
		kubelet.Start()
		for range 500 {
			if _, err := client.Pod(t.Context(), "prod", "web"); err == nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if _, err := client.Pod(t.Context(), "prod", "web"); err != nil {
			t.Fatal(err)
		}
		kubelet.Stop()
	}
}

// TestSlowKubelet: a question ends with its context.
func TestSlowKubelet(t *testing.T) {
	kubelet := kubetest.New(t)
	kubelet.Start()
	defer kubelet.Hold()()
	client := newClient(t, kubelet)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := client.Pod(ctx, "prod", "web"); err == nil || time.Since(begun) > 2*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
}
