package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// outputFlag is the flag -o: a form for people first, then forms for programs.
type outputFlag struct {
	value string
	forms []string
}

func (o *outputFlag) add(cmd *cobra.Command, forms ...string) {
	o.forms = forms
	cmd.Flags().VarP(o, "output", "o", strings.Join(forms, "|"))
	o.value = forms[0]
}

// Set, String and Type make it a flag whose value is checked as it is read.
func (o *outputFlag) Set(value string) error {
	if !slices.Contains(o.forms, value) {
		return fmt.Errorf("is none of %s", strings.Join(o.forms, ", "))
	}
	o.value = value
	return nil
}

func (o *outputFlag) String() string { return o.value }

// Type names the kind of value in the help.
func (o *outputFlag) Type() string { return "form" }

// print writes value as JSON or YAML, or what text makes of it.
func (o *outputFlag) print(w io.Writer, value any, text func() string) error {
	switch o.value {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	case "yaml":
		content, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	}
	_, err := io.WriteString(w, text())
	return err
}
