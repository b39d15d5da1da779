package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Refusal is an answer other than success.
type Refusal struct {
	// Code is the HTTP status.
	Code int
	// Message is what the server says, in one line.
	Message string
	// RetryAfter is how long the server wants to be left alone; 0 when it does not say.
	RetryAfter time.Duration
}

// Error says code and message.
func (r *Refusal) Error() string {
	return fmt.Sprintf("the API server answers %d: %s", r.Code, r.Message)
}

// Code is the HTTP status of a refusal, 0 of an error that is none.
func Code(err error) int {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return 0
}

// Fault tells what an error says about trying again.
type Fault int

// The kinds of errors.
const (
	// Away: the server cannot be reached, is too busy or broken, or does not know us; whatever else is asked of it may fail as well.
	Away Fault = iota
	// Conflict: somebody else has changed the object; reading it again helps.
	Conflict
	// Missing: the object is not there.
	Missing
	// Refused: the server will not do this, whoever asks for what else.
	Refused
)

// FaultOf tells the kind of an error, and how long the server wants to be left alone.
func FaultOf(err error) (Fault, time.Duration) {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return Away, 0
	}
	switch code := refusal.Code; {
	case code == http.StatusUnauthorized, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		return Away, refusal.RetryAfter
	case code == http.StatusConflict:
		return Conflict, 0
	case code == http.StatusNotFound, code == http.StatusGone:
		return Missing, 0
	}
	return Refused, refusal.RetryAfter
}

// maxMessage bounds what is kept of the server's words, in bytes.
const maxMessage = 512

// maxRetryAfter bounds what the server may ask for.
const maxRetryAfter = 5 * time.Minute

func refusalOf(response *http.Response, body []byte) *Refusal {
	r := &Refusal{Code: response.StatusCode}
	var status struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	}
	// Proxies answer with pages of their own.
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" {
		r.Message = status.Message
	}
	if r.Message == "" {
		r.Message = http.StatusText(response.StatusCode)
	}
	if r.Message = strings.ToValidUTF8(strings.Join(strings.Fields(r.Message), " "), "?"); len(r.Message) > maxMessage {
		r.Message = strings.ToValidUTF8(r.Message[:maxMessage], "") + "…"
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		r.RetryAfter = min(time.Duration(min(seconds, 3600))*time.Second, maxRetryAfter)
	}
	return r
}
