package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/nri-sriov/nri-sriov/pkg/config"
)

// networksMap is the ConfigMap that the admission policy reads: for each network the namespaces that may use it.
type networksMap struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Data       map[string]string `json:"data"`
}

func newNetworks() *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: "networks CONFIG...", Short: "The ConfigMap of who may use which network, for the admission policy", Args: cobra.MinimumNArgs(1),
		Long: "The ConfigMap nri-sriov-networks, which the admission policy in configs/kubernetes reads, from one or more node configs.\n" +
			"A namespace that may use a network by any of them is admitted; the node that the pod comes to decides.",
		RunE: work(func(cmd *cobra.Command, files []string) error {
			var nodes []*config.Node
			for _, file := range files {
				node, err := config.Load(file)
				if err == nil && node.Source == "" {
					err = fmt.Errorf("there is no config %s", file)
				}
				if err != nil {
					return err
				}
				nodes = append(nodes, node)
			}
			text, err := yaml.Marshal(networksMap{
				APIVersion: "v1", Kind: "ConfigMap", Metadata: map[string]string{"name": "nri-sriov-networks", "namespace": namespace},
				Data: usersOf(nodes),
			})
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		}),
	}
	cmd.Flags().StringVar(&namespace, "namespace", "nri-sriov", "the namespace of the ConfigMap")
	return cmd
}

// usersOf tells for each network the patterns of its namespaces, with blanks between them; * is every namespace.
func usersOf(nodes []*config.Node) map[string]string {
	patterns := map[string][]string{}
	for _, node := range nodes {
		for _, network := range node.Networks {
			users := network.Namespaces
			if len(users) == 0 {
				users = []string{"*"}
			}
			patterns[network.Name] = append(patterns[network.Name], users...)
		}
	}
	data := map[string]string{}
	for name, users := range patterns {
		slices.Sort(users)
		if slices.Contains(users, "*") {
			users = []string{"*"}
		}
		data[name] = strings.Join(slices.Compact(users), " ")
	}
	return data
}
