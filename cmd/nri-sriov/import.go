package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nri-sriov/nri-sriov/pkg/sriovcni"
)

func newImport() *cobra.Command {
	var output outputFlag
	var cniArgs string
	cmd := &cobra.Command{
		Use: "import FILE…", Short: "Write a NodeConfig and pods' annotations for configs of the CNI plugin sriov",
		Long: `Reads NetworkAttachmentDefinitions (YAML or JSON, several documents in a file), CNI configs and lists of plugins of
the four CNI plugins that are called sriov, and writes a NodeConfig that does the same; - is standard input.
The pods' annotations, and all that has no equal, are comments of the NodeConfig; the latter is also on standard error.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			args, err := sriovcni.ParseArgs(cniArgs)
			if err != nil {
				return fmt.Errorf("--cni-args: %w", err)
			}
			if i := slices.Index(names, "-"); i >= 0 && slices.Contains(names[i+1:], "-") {
				return errors.New("standard input can be read only once")
			}
			return work(func(cmd *cobra.Command, names []string) error {
				return importFiles(cmd, &output, names, args)
			})(cmd, names)
		},
	}
	output.add(cmd, "yaml", "json")
	cmd.Flags().StringVar(&cniArgs, "cni-args", "", "the CNI_ARGS that the plugin was called with, such as VLAN=100;MAC=02:00:00:00:00:11")
	return cmd
}

func importFiles(cmd *cobra.Command, output *outputFlag, names []string, args sriovcni.Args) error {
	files := make([]sriovcni.File, len(names))
	for i, name := range names {
		file, err := readImported(cmd.InOrStdin(), name)
		if err != nil {
			return err
		}
		files[i] = file
	}
	result, err := sriovcni.Import(files, args)
	if err != nil {
		return fmt.Errorf("nothing is written, as the input is broken:\n%w", err)
	}
	for _, note := range result.Notes {
		cmd.PrintErrln(note)
	}
	if len(result.Config.Networks) == 0 {
		return errors.New("nothing is written: the input has no config of a CNI plugin sriov")
	}
	if output.value == "json" {
		return output.print(cmd.OutOrStdout(), result, nil)
	}
	text, err := result.YAML()
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

func readImported(stdin io.Reader, name string) (sriovcni.File, error) {
	source := stdin
	if name == "-" {
		name = "standard input"
	} else {
		file, err := os.Open(name)
		if err != nil {
			return sriovcni.File{}, err
		}
		defer file.Close()
		source = file
	}
	text, err := io.ReadAll(io.LimitReader(source, sriovcni.MaxSize+1))
	if err != nil {
		return sriovcni.File{}, fmt.Errorf("read %s: %w", name, err)
	}
	return sriovcni.File{Name: name, Text: text}, nil
}
