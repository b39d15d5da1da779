package placement

import "errors"

// The outcomes of an answer.
const (
	OutcomeCandidates   = "candidates"
	OutcomeNoCandidates = "no-candidates"
	OutcomeBadRequest   = "bad-request"
)

// Answer is what `nri-sriov candidates` prints. Its lists are never null.
type Answer struct {
	Outcome string `json:"outcome"`
	// Count is the number of candidates here; when there are more, the reasons say so.
	Count      int         `json:"count"`
	Candidates []Candidate `json:"candidates"`
	// Reasons say why there is no candidate, why there may be more, or what is wrong with the request: its code first.
	Reasons []string `json:"reasons"`
}

// AnswerOf makes an answer of what Candidates, First, ParseQuestion or Document.Ask returned.
func AnswerOf(r Result, err error) Answer {
	answer := Answer{Outcome: OutcomeNoCandidates, Count: len(r.Candidates), Candidates: r.Candidates, Reasons: r.Reasons}
	var request *BadRequest
	switch {
	case errors.As(err, &request):
		answer = Answer{Outcome: OutcomeBadRequest, Reasons: []string{request.Error()}}
	case err != nil:
		answer = Answer{Outcome: OutcomeBadRequest, Reasons: []string{(&BadRequest{Code: BadDocument, Message: err.Error()}).Error()}}
	case len(r.Candidates) > 0:
		answer.Outcome = OutcomeCandidates
	}
	if answer.Candidates == nil {
		answer.Candidates = []Candidate{}
	}
	if answer.Reasons == nil {
		answer.Reasons = []string{}
	}
	return answer
}
