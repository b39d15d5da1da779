// Package sriovcni reads the configurations of the four CNI plugins that are called sriov, and says the same as a
// NodeConfig and as annotations of pods.
//
// It reads NetworkAttachmentDefinitions, single CNI configs and lists of them, in the dialects of hustcat, Intel (with
// its dpdk, if0 and l2enable), xftony and today's k8snetworkplumbingwg. A key means what it meant to the plugin that
// knew it. What has no equal here becomes a Note; nothing is left out without one. What is broken is an error that names
// file, line, document and key, and then there is no result at all.
//
// It owns the foreign formats and the wording of notes. Whether the NodeConfig is valid is pkg/config's word, which is
// asked for each network: what this release of the daemon refuses is noted in its own words. Of the project, the package
// imports pkg/request and what lies below it; it must not import anything that knows NRI, the kernel, or which VFs exist.
package sriovcni
