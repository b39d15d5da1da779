// Package apitest is an API server for tests: it speaks HTTP, keeps pods, nodes and Events, applies merge patches, refuses
// those to an older resourceVersion, and fails in whatever way a test wants.
package apitest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// Object is an object as JSON.
type Object = map[string]any

// Server is the API server.
type Server struct {
	http *httptest.Server

	mutex    sync.Mutex
	objects  map[string]Object
	version  int
	requests []string
	fault    func(w http.ResponseWriter, r *http.Request) (handled bool)
}

// New starts a server for the time of a test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{objects: map[string]Object{}}
	s.http = httptest.NewServer(s)
	t.Cleanup(s.http.Close)
	return s
}

// Config is the way to it.
func (s *Server) Config() *rest.Config { return &rest.Config{Host: s.http.URL} }

// URL is where it is.
func (s *Server) URL() string { return s.http.URL }

// Fail has each request go through fault first, which may answer it; nil ends that.
func (s *Server) Fail(fault func(w http.ResponseWriter, r *http.Request) (handled bool)) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.fault = fault
}

// Answer is a fault: every request is answered with a status of this code.
func Answer(code int, header ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		refuse(w, code, http.StatusText(code))
		return true
	}
}

func podPath(namespace, name string) string {
	return "/api/v1/namespaces/" + namespace + "/pods/" + name
}

// PutPod makes a pod, or another one of its name.
func (s *Server) PutPod(namespace, name, uid string, annotations map[string]string) {
	all := map[string]any{}
	for key, value := range annotations {
		all[key] = value
	}
	s.put(podPath(namespace, name), Object{"metadata": Object{"namespace": namespace, "name": name, "uid": uid, "annotations": all}})
}

// DeletePod deletes it.
func (s *Server) DeletePod(namespace, name string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.objects, podPath(namespace, name))
}

// Annotation is one of a pod's.
func (s *Server) Annotation(namespace, name, key string) string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	metadata, _ := s.objects[podPath(namespace, name)]["metadata"].(Object)
	annotations, _ := metadata["annotations"].(Object)
	value, _ := annotations[key].(string)
	return value
}

// PutNode makes a node with taints, each as JSON.
func (s *Server) PutNode(name string, taints ...string) {
	var list []any
	for _, text := range taints {
		var one any
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			panic(err)
		}
		list = append(list, one)
	}
	s.put("/api/v1/nodes/"+name, Object{"metadata": Object{"name": name}, "spec": Object{"taints": list}})
}

// Taints are a node's, each as JSON with its keys in order.
func (s *Server) Taints(name string) []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var texts []string
	spec, _ := s.objects["/api/v1/nodes/"+name]["spec"].(Object)
	taints, _ := spec["taints"].([]any)
	for _, one := range taints {
		text, err := json.Marshal(one)
		if err != nil {
			panic(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// Event is what a test wants to know of one.
type Event struct {
	Namespace, Kind, Name, Type, Reason, Message string
	Count                                        int
}

// Events are those that were made, sorted by reason and message.
func (s *Server) Events() []Event {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var all []Event
	for path, object := range s.objects {
		if !strings.Contains(path, "/events/") {
			continue
		}
		involved, _ := object["involvedObject"].(Object)
		text := func(o Object, key string) string { value, _ := o[key].(string); return value }
		count, _ := object["count"].(float64)
		all = append(all, Event{
			Namespace: strings.Split(path, "/")[4], Kind: text(involved, "kind"), Name: text(involved, "name"),
			Type: text(object, "type"), Reason: text(object, "reason"), Message: text(object, "message"), Count: int(count),
		})
	}
	slices.SortFunc(all, func(a, b Event) int { return strings.Compare(a.Reason+a.Message, b.Reason+b.Message) })
	return all
}

// Forget deletes all Events, as the API server does with old ones.
func (s *Server) Forget() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	maps.DeleteFunc(s.objects, func(path string, _ Object) bool { return strings.Contains(path, "/events/") })
}

// Requests are those that came, as METHOD path, also the ones that failed.
func (s *Server) Requests() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.requests)
}

// Touch changes an object's resourceVersion, as a write of somebody else does.
func (s *Server) Touch(path string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stamp(s.objects[path])
}

func (s *Server) put(path string, object Object) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stamp(object)
	s.objects[path] = object
}

func (s *Server) stamp(object Object) {
	s.version++
	object["metadata"].(Object)["resourceVersion"] = fmt.Sprint(s.version)
}

// ServeHTTP answers as the API server does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	fault := s.fault
	s.mutex.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, 400, err.Error())
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	path := strings.TrimSuffix(r.URL.Path, "/status")
	object, known := s.objects[path]
	switch {
	case r.Method == http.MethodPost:
		s.create(w, path, body)
		return
	case !known:
		refuse(w, 404, path+" not found")
		return
	case r.Method == http.MethodPatch:
		if !s.patch(w, r, path, object, body) {
			return
		}
		object = s.objects[path]
	}
	answer(w, 200, object)
}

func (s *Server) create(w http.ResponseWriter, folder string, body []byte) {
	var object Object
	if err := json.Unmarshal(body, &object); err != nil {
		refuse(w, 400, err.Error())
		return
	}
	name, _ := object["metadata"].(Object)["name"].(string)
	path := folder + "/" + name
	if _, known := s.objects[path]; known || name == "" {
		refuse(w, 409, path+" already exists")
		return
	}
	s.stamp(object)
	s.objects[path] = object
	answer(w, 201, object)
}

func (s *Server) patch(w http.ResponseWriter, r *http.Request, path string, object Object, body []byte) bool {
	var patch Object
	if err := json.Unmarshal(body, &patch); err != nil || r.Header.Get("Content-Type") != "application/merge-patch+json" {
		refuse(w, 415, "no merge patch")
		return false
	}
	metadata, _ := patch["metadata"].(Object)
	if want, given := metadata["resourceVersion"]; given && want != object["metadata"].(Object)["resourceVersion"] {
		refuse(w, 409, "the object has been modified")
		return false
	}
	if strings.HasSuffix(r.URL.Path, "/status") { // it takes the spec from what is there
		delete(patch, "spec")
	}
	changed, _ := merged(object, patch).(Object)
	s.stamp(changed)
	s.objects[path] = changed
	return true
}

// merged applies a merge patch, RFC 7386.
func merged(target, patch any) any {
	change, ok := patch.(Object)
	if !ok {
		return patch
	}
	result := Object{}
	if before, ok := target.(Object); ok {
		maps.Copy(result, before)
	}
	for key, value := range change {
		if value == nil {
			delete(result, key)
		} else {
			result[key] = merged(result[key], value)
		}
	}
	return result
}

func answer(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object) // a client that has gone
}

func refuse(w http.ResponseWriter, code int, message string) {
	answer(w, code, Object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code})
}
