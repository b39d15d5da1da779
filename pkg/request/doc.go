// Package request reads what a pod says in its annotations, and decides against the node's configuration whether the
// pod may say so.
//
// It owns the form of the annotations, the names of the interfaces that follow from them, and the sentences that refuse
// them. Parse looks at the text alone; Authorise adds the networks, the namespace and what a network lets pods choose.
// The type of the text (rawRequest) never leaves the package: who holds a Pod holds a valid one.
//
// Of the project, the package imports pkg/config, pkg/vf for its types and pkg/strictyaml; it must not import anything
// that knows NRI, Kubernetes, the kernel or which VFs are free.
package request
