package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// MergePatch sends one merge patch to the API server, as whoever has the token: kubectl reads an object before it changes it,
// which not everybody may who may change it. The answer is the server's message, "" when it has done it.
func (k *Kubectl) MergePatch(ctx context.Context, token, path, patch string) (refusal string, err error) {
	admin, err := clientcmd.BuildConfigFromFlags("", k.Kubeconfig)
	if err != nil {
		return "", err
	}
	config := rest.AnonymousClientConfig(admin)
	config.BearerToken = token
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPatch, config.Host+path, strings.NewReader(patch))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/merge-patch+json")
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode == http.StatusOK {
		return "", err
	}
	return fmt.Sprintf("%s: %s", response.Status, answer), nil
}
