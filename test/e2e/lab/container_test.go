package lab

import (
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestContainerSecurity(t *testing.T) {
	root := Container{}.security(&cri.NamespaceOption{})
	if root.RunAsUser != nil || root.RunAsGroup != nil || root.Capabilities != nil || root.NoNewPrivs {
		t.Errorf("nothing was asked for, got %+v", root)
	}
	user := Container{RunAsUser: 7, RunAsGroup: 8, Groups: []int64{9}, NoCapabilities: true}.security(&cri.NamespaceOption{})
	if user.RunAsUser.Value != 7 || user.RunAsGroup.Value != 8 || user.SupplementalGroups[0] != 9 ||
		user.Capabilities.DropCapabilities[0] != "ALL" || !user.NoNewPrivs {
		t.Errorf("got %+v", user)
	}
}
