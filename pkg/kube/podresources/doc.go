// Package podresources asks the kubelet which devices it gave to pods, over its pod-resources API, version v1:
// https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#monitoring-device-plugin-resources
//
// The kubelet knows a pod by namespace and name only. It tells of containers and sidecars, not of init containers that end
// before the others start. It answers a hundred questions a second, and ten at once.
//
// The package knows nothing of VFs, and imports nothing of the project.
package podresources
