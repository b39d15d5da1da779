// Package steps runs the steps of a demonstration, one after the other, each with its title and its time.
package steps

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Step is one of a demonstration.
type Step struct {
	// Name is for errors and times, Title for whoever looks on.
	Name, Title string
	Do          func(context.Context) error
}

// Run does the steps until one fails; the error names it. Times tells what each took, of those that were begun.
func Run(ctx context.Context, all []Step) (times string, err error) {
	var took []string
	for _, step := range all {
		fmt.Printf("\n== %s\n", step.Title)
		begun := time.Now()
		err := step.Do(ctx)
		took = append(took, fmt.Sprintf("%s %.1f s", step.Name, time.Since(begun).Seconds()))
		if err != nil {
			return strings.Join(took, ", "), fmt.Errorf("%s: %w", step.Name, err)
		}
	}
	return strings.Join(took, ", "), nil
}
