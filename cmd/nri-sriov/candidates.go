package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/nri-sriov/nri-sriov/pkg/candidate"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
)

func newCandidates() *cobra.Command {
	var file, namespace string
	var flags nodeFlags
	cmd := &cobra.Command{
		Use: "candidates -f FILE", Short: "The allocation candidates for a pod now, as JSON", Args: cobra.NoArgs,
		Long: "The allocation candidates for a pod, bare requests or a placement question, as JSON: all of them, or the reasons why\n" +
			"there is none. FILE is a manifest, the text of the annotation, or a placement question, in YAML or JSON; - is the\n" +
			"standard input. Exit codes: 0 candidates, 1 none, 2 a question that cannot be asked.",
		PreRunE: func(*cobra.Command, []string) error {
			if file == "" {
				return errors.New("-f FILE is missing")
			}
			return nil
		},
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			text, err := readFile(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			answer, err := candidate.Ask(text, namespace, func() (candidate.Node, error) { return nodeOf(cmd, flags) })
			if err != nil {
				return err
			}
			encoder := json.NewEncoder(cmd.OutOrStdout())
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(answer); err != nil {
				return err
			}
			switch answer.Outcome {
			case "candidates":
				return nil
			case "bad-request":
				return errBadRequest
			}
			return errSilent
		}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "what is asked: a manifest, requests, a placement question; - for the standard input")
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "default", "the pod's namespace, where the file does not say")
	flags.add(cmd)
	return cmd
}

// errBadRequest ends with the exit code of misuse when everything has been said already.
var errBadRequest = fmt.Errorf("a bad request%w", errSilent)

func readFile(name string, standard io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(standard, candidate.MaxFile+1))
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, candidate.MaxFile+1))
}

// nodeOf reads the config, and the inventory as the daemon has it, else as it can be seen without one.
func nodeOf(cmd *cobra.Command, flags nodeFlags) (candidate.Node, error) {
	node, err := config.Load(flags.config)
	if err != nil {
		return candidate.Node{}, err
	}
	var tree inventory.Tree
	err = newClient(flags.runDir).do(cmd.Context(), "GET", "/v1/inventory", &tree)
	if errors.Is(err, errNoDaemon) {
		tree, err = readTree(flags)
	}
	return candidate.Node{Config: node, Tree: tree}, err
}
