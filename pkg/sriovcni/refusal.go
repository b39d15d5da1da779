package sriovcni

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// mayBeRefused are the keys of a network that hold what a release of the daemon may not be able to do. Where the config
// refuses one, the key is written nevertheless, with a note; any other refusal means that the input is broken.
var mayBeRefused = []string{"resourceName", "ipam.type"}

// refusals has pkg/config judge every network by itself, which keeps one from hiding the mistakes of another, and then
// the whole.
func (w *writing) refusals() {
	whole := w.result.Config
	for i, n := range whole.Networks {
		single := whole
		single.Providers, single.Networks = nil, []Network{n}
		for _, one := range w.judge(single) {
			w.refusal(i, one)
		}
	}
	if len(w.broken) > 0 {
		return
	}
	for _, one := range w.judge(whole) {
		if !isExpected(one) {
			w.broken = append(w.broken, fmt.Errorf("the config of all networks together: %w", one))
		}
	}
}

func (w *writing) judge(node NodeConfig) []error {
	content, err := encode(node)
	if err != nil {
		return []error{err}
	}
	_, err = config.Parse("NodeConfig", content)
	return flatten(err)
}

// flatten lists the errors that are joined in err.
func flatten(err error) []error {
	switch joined := err.(type) {
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		return joined.Unwrap()
	}
	return []error{err}
}

func isExpected(err error) bool {
	var one *strictyaml.Error
	if !errors.As(err, &one) {
		return false
	}
	_, key, _ := strings.Cut(one.Path, "].")
	return slices.Contains(mayBeRefused, key)
}

func (w *writing) refusal(i int, err error) {
	r := w.readings[i]
	var one *strictyaml.Error
	if !errors.As(err, &one) {
		w.broken = append(w.broken, r.source.errorf(r.source.config.line, r.source.manifest, "%s", err))
		return
	}
	_, key, _ := strings.Cut(one.Path, "].")
	if isExpected(err) {
		r := Note{Kind: Refused, Key: fmt.Sprintf("networks[%d].%s", i, key), Message: one.Message}
		w.result.Notes = append(w.result.Notes, r)
		return
	}
	line := r.source.config.line
	if strings.HasPrefix(key, "ipam") && r.conf.ipamLine > 0 {
		line = r.conf.ipamLine
	}
	r.path = ""
	r.wrong(field{key: key, line: line}, "%s", one.Message)
	w.broken = append(w.broken, r.broken[len(r.broken)-1])
}
