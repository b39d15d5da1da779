package events_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"

	"github.com/nri-sriov/nri-sriov/pkg/kube/api"
	"github.com/nri-sriov/nri-sriov/pkg/kube/apitest"
	"github.com/nri-sriov/nri-sriov/pkg/kube/events"
	"github.com/nri-sriov/nri-sriov/pkg/kube/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var web = events.Pod("prod", "web", "u1")

func refused(message string) events.Event {
	return events.Event{Object: web, Type: events.Warning, Reason: "NoFreeVF", Message: message}
}

// start makes a recorder; run has its queue told.
func start(t *testing.T, s *apitest.Server, limited func()) (recorder *events.Recorder, q *queue.Queue, run func()) {
	t.Helper()
	client, err := api.New(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	times := queue.Times{First: time.Millisecond, Most: 4 * time.Millisecond, Refused: time.Millisecond, MostRefused: 4 * time.Millisecond}
	q = queue.New(queue.Options{Droppable: 100, Workers: 2, Times: times})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	close(ended)
	t.Cleanup(func() { cancel(); <-ended; client.Close() })
	return events.NewRecorder(client, q, "n1", limited), q, func() {
		ended = make(chan struct{})
		go func() {
			defer close(ended)
			q.Run(ctx)
		}()
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what + " does not come")
		}
	}
}

// TestRepetitionIsCounted: what is said again and again while nobody listens is one Event with a count.
func TestRepetitionIsCounted(t *testing.T) {
	s := apitest.New(t)
	recorder, q, run := start(t, s, nil)
	for range 500 {
		recorder.Say(refused("no VF free"))
	}
	run()
	eventually(t, "the end", func() bool { return len(q.Len()) == 0 })
	all := s.Events()
	if len(all) != 1 || all[0] != (apitest.Event{
		Namespace: "prod", Kind: "Pod", Name: "web", Type: "Warning", Reason: "NoFreeVF", Message: "no VF free", Count: 500,
	}) {
		t.Fatalf("said %+v", all)
	}
	recorder.Say(refused("no VF free"))
	time.Sleep(20 * time.Millisecond)
	if len(s.Requests()) != 1 || q.Len()[events.Kind] != 1 {
		t.Errorf("a repetition is told at once: %v, waiting %v", s.Requests(), q.Len())
	}
}

// TestCountGoesOn: a repetition is a patch of the count, and where the API server has forgotten the Event, it is made anew.
func TestCountGoesOn(t *testing.T) {
	s := apitest.New(t)
	recorder, q, run := start(t, s, nil)
	events.Hasten(recorder)
	run()
	for i := range 3 {
		recorder.Say(refused("no VF free"))
		eventually(t, "the end", func() bool { return len(q.Len()) == 0 })
		if i == 1 {
			s.Forget()
		}
	}
	if all := s.Events(); len(all) != 1 || all[0].Count != 3 {
		t.Errorf("said %+v", all)
	}
	var methods []string
	for _, one := range s.Requests() {
		methods = append(methods, strings.Fields(one)[0])
	}
	if text := strings.Join(methods, " "); text != "POST PATCH PATCH POST" {
		t.Errorf("asked %s", text)
	}
}

// TestLoopingPodIsLimited: a pod with ever new words is heard ten times, others are heard all the same.
func TestLoopingPodIsLimited(t *testing.T) {
	s := apitest.New(t)
	var mutex sync.Mutex
	limited := 0
	recorder, q, run := start(t, s, func() { mutex.Lock(); limited++; mutex.Unlock() })
	for i := range 1000 {
		recorder.Say(refused(fmt.Sprint("try ", i)))
	}
	other := refused("no VF free")
	other.Object = events.Pod("prod", "db", "u2")
	recorder.Say(other)
	run()
	eventually(t, "the end", func() bool { return len(q.Len()) == 0 })
	of := map[string]int{}
	for _, one := range s.Events() {
		of[one.Name]++
	}
	if of["web"] != 10 || of["db"] != 1 || limited != 990 {
		t.Errorf("said %v, limited %d", of, limited)
	}
}

// TestReasonsDoNotSilenceEachOther: however many VFs of a node are in quarantine, that its config is refused is heard.
func TestReasonsDoNotSilenceEachOther(t *testing.T) {
	s := apitest.New(t)
	recorder, q, run := start(t, s, nil)
	node := events.Node("n1")
	for i := range 100 {
		recorder.Say(events.Event{Object: node, Type: events.Warning, Reason: "VFQuarantined", Message: fmt.Sprint("VF ", i)})
	}
	recorder.Say(events.Event{Object: node, Type: events.Warning, Reason: "ConfigRefused", Message: "config.yaml:3"})
	run()
	eventually(t, "the end", func() bool { return len(q.Len()) == 0 })
	of := map[string]int{}
	for _, one := range s.Events() {
		of[one.Reason]++
	}
	if of["VFQuarantined"] != 10 || of["ConfigRefused"] != 1 {
		t.Errorf("said %v", of)
	}
}

// TestLostAnswer: when the answer to the making of an Event is lost, it is not made twice.
func TestLostAnswer(t *testing.T) {
	s := apitest.New(t)
	recorder, q, run := start(t, s, nil)
	var once sync.Once
	s.Fail(func(w http.ResponseWriter, r *http.Request) (handled bool) {
		once.Do(func() {
			handled = true
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			copied := r.Clone(r.Context())
			copied.Body = io.NopCloser(bytes.NewReader(body))
			s.Fail(nil)
			s.ServeHTTP(discard{}, copied)
			panic(http.ErrAbortHandler)
		})
		return handled
	})
	recorder.Say(refused("no VF free"))
	run()
	eventually(t, "the end", func() bool { return len(q.Len()) == 0 })
	if all := s.Events(); len(all) != 1 {
		t.Errorf("said %+v", all)
	}
}

type discard struct{}

func (discard) Header() http.Header            { return http.Header{} }
func (discard) Write(text []byte) (int, error) { return len(text), nil }
func (discard) WriteHeader(int)                {}

// TestIsAnEvent: the API server's own type has all that is sent, and its rules for names are kept.
func TestIsAnEvent(t *testing.T) {
	s := apitest.New(t)
	recorder, q, run := start(t, s, nil)
	var body []byte
	s.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return false
	})
	one := events.Event{Object: events.Node(strings.Repeat("n", 253)), Type: events.Normal, Reason: "ConfigTaken", Message: "x\x1b[31m\n" + strings.Repeat("ä", 2000)}
	recorder.Say(one)
	run()
	eventually(t, "the end", func() bool { return len(q.Len()) == 0 })
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	var event corev1.Event
	if err := decoder.Decode(&event); err != nil {
		t.Fatal(err)
	}
	switch {
	case len(event.Name) > 253, event.Namespace != "default", event.InvolvedObject.Kind != "Node",
		string(event.InvolvedObject.UID) != one.Object.Name, event.Source.Component != "nri-sriov", event.Source.Host != "n1",
		event.FirstTimestamp.IsZero(), event.Count != 1, event.Type != corev1.EventTypeNormal:
		t.Errorf("is %+v", event)
	case len(event.Message) > 1024, !utf8.ValidString(event.Message), strings.ContainsAny(event.Message, "\x1b\n"):
		t.Errorf("message %q", event.Message)
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb":          "a b",
		"\x00a\x7f":     "\uFFFDa\uFFFD",
		"a\xffb":        "a\uFFFDb",
		"  a \u202e b ": "a \uFFFD b",
	} {
		if is := events.Clean(text); is != want {
			t.Errorf("%q is %q", text, is)
		}
	}
}
