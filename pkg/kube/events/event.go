package events

import (
	"strings"
	"time"
	"unicode"
)

// component is who says it, as kubectl describe shows.
const component = "nri-sriov"

// maxMessage is what the API server takes, in bytes.
const maxMessage = 1024

// Object is what an Event is about.
type Object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	UID        string `json:"uid,omitempty"`
}

// Pod is a pod as an Event's object.
func Pod(namespace, name, uid string) Object {
	return Object{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: name, UID: uid}
}

// Node is a node as an Event's object; by its name in place of the UID kubectl describe finds what kubelets say, and this.
func Node(name string) Object { return Object{APIVersion: "v1", Kind: "Node", Name: name, UID: name} }

// The types of Events.
const (
	Normal  = "Normal"
	Warning = "Warning"
)

// Event is what is to be said of an object.
type Event struct {
	Object Object
	Type   string
	// Reason is one word in CamelCase, Message a sentence.
	Reason, Message string
}

// written is a core/v1 Event:
// https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
type written struct {
	APIVersion     string   `json:"apiVersion"`
	Kind           string   `json:"kind"`
	Metadata       metadata `json:"metadata"`
	InvolvedObject Object   `json:"involvedObject"`
	Reason         string   `json:"reason"`
	Message        string   `json:"message"`
	Source         source   `json:"source"`
	FirstTimestamp string   `json:"firstTimestamp"`
	LastTimestamp  string   `json:"lastTimestamp"`
	Count          int      `json:"count"`
	Type           string   `json:"type"`
	// The API server wants these two of each Event that has none of the older fields, and kubectl shows them.
	ReportingComponent string `json:"reportingComponent"`
	ReportingInstance  string `json:"reportingInstance"`
}

type metadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type source struct {
	Component string `json:"component"`
	Host      string `json:"host"`
}

// stamp is a time as the API server writes it.
func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) } // wall clock: shown to people only

// namespaceOf is where an Event is kept: beside its object, and that of an object without namespace in default.
func (o Object) namespaceOf() string {
	if o.Namespace == "" {
		return "default"
	}
	return o.Namespace
}

// Clean is a message as it may stand in an Event: one line of valid text without what a terminal acts upon, and no longer
// than the API server takes.
func Clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxMessage {
		return text
	}
	const end = "…"
	return strings.ToValidUTF8(text[:maxMessage-len(end)], "") + end
}
