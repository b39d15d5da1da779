// Package deviceplugin tells the kubelet of devices, over its device plugin API, version v1beta1:
// https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
//
// Each resource has a gRPC server of its own on a socket in the kubelet's folder, of which the kubelet is told by a
// registration. A kubelet that starts removes all sockets from the folder, makes its own anew and knows of nobody: then the
// sockets are made again, and the resources are registered again.
//
// The package knows nothing of VFs, and imports nothing of the project.
package deviceplugin
