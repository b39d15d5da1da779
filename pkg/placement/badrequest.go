package placement

import (
	"errors"
	"fmt"
)

// Code names what is wrong with a request, for programs.
type Code string

// The codes of bad requests. The first eleven are of placement's own making; the others refuse what its wire format
// could not say, or what this package does not support.
const (
	UnknownTrait           Code = "unknown-trait"
	UnknownResourceClass   Code = "unknown-resource-class"
	GroupPolicyMissing     Code = "group-policy-missing"
	GroupPolicyInvalid     Code = "group-policy-invalid"
	TraitConflict          Code = "trait-conflict"
	ResourcelessGroupLoose Code = "resourceless-group-not-in-same-subtree"
	NoResources            Code = "no-resources"
	SameSubtreeUnknown     Code = "same-subtree-unknown-suffix"
	SameSubtreeEmpty       Code = "same-subtree-empty-suffix"
	BadAmount              Code = "bad-amount"
	BadTraitSyntax         Code = "bad-trait-syntax"
	BadSuffix              Code = "bad-suffix"
	BadLimit               Code = "bad-limit"
	BadName                Code = "bad-name"
	EmptyGroup             Code = "empty-group"
	NotSupported           Code = "not-supported"
	TooLarge               Code = "too-large"
	BadProvider            Code = "bad-provider"
	BadExistingAllocations Code = "bad-existing-allocations"
	BadDocument            Code = "bad-document"
)

// BadRequest is a question, or a description of providers, that cannot be answered as it stands. It is never said of
// one that nothing can serve.
type BadRequest struct {
	Code Code
	// Message is a sentence for a person.
	Message string
}

// Error writes the code before the sentence.
func (e *BadRequest) Error() string { return string(e.Code) + ": " + e.Message }

func bad(code Code, format string, args ...any) error {
	return &BadRequest{Code: code, Message: fmt.Sprintf(format, args...)}
}

// at says where in a document a bad request was found.
func at(place string, err error) error {
	var found *BadRequest
	if errors.As(err, &found) {
		return &BadRequest{Code: found.Code, Message: place + ": " + found.Message}
	}
	return err
}
