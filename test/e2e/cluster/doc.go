// Package cluster is a Kubernetes whose nodes are guests of the lab: etcd, API server, controller manager and scheduler
// run on the host, at 127.0.0.1 and free ports; a kubelet and a containerd run in each guest, and reach the API server
// through QEMU's user network. All parts are real, and what is left out is said here:
//
//   - Tokens come from a file, and no certificate is ever renewed.
//   - There is no kube-proxy and no cluster DNS. Of the Services, only that of the API server answers, in each guest.
//   - Pods of two nodes reach each other over their VFs and in no other way: each node has the same pod subnet, and the
//     same address (10.0.2.15). The API server reaches each kubelet by a port of its own, for logs and exec.
//
// Everything ends with Close, and in any case with the process that started it.
package cluster
