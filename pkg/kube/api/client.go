package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The content types of patches: https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply
const (
	MergePatch = "application/merge-patch+json"
	plainJSON  = "application/json"
)

const (
	// requestTime bounds one request, from the first byte to the last.
	requestTime = 15 * time.Second
	// maxAnswer bounds an answer, in bytes; etcd takes no object of more than 1.5 MiB.
	maxAnswer = 4 << 20
	userAgent = "nri-sriov"
)

// Client asks the API server.
type Client struct {
	base *url.URL
	http *http.Client
}

// Config tells how the API server is reached: by a kubeconfig or, where that is "", by the pod's service account.
func Config(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("find the API server from within the cluster: %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	return config, nil
}

// New makes a client; nothing is asked yet, so that the API server may be away.
func New(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = userAgent
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("the API server's address: %w", err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server: %w", err)
	}
	return &Client{base: base, http: client}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Read reads an object into a value that JSON is decoded into.
func (c *Client) Read(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, into)
}

// Create makes an object, and reads what the server has made of it.
func (c *Client) Create(ctx context.Context, path string, object, into any) error {
	return c.do(ctx, http.MethodPost, path, plainJSON, object, into)
}

// Patch changes an object by a merge patch (RFC 7386). One that names a resourceVersion is refused as a conflict when the
// object has changed meanwhile.
func (c *Client) Patch(ctx context.Context, path string, patch any) error {
	return c.do(ctx, http.MethodPatch, path, MergePatch, patch, nil)
}

// Path joins the parts of a path below /api/v1, each of them a name from outside.
func Path(parts ...string) string {
	var path strings.Builder
	path.WriteString("/api/v1")
	for _, part := range parts {
		path.WriteByte('/')
		path.WriteString(url.PathEscape(part))
	}
	return path.String()
}

func (c *Client) do(ctx context.Context, method, path, contentType string, object, into any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	var body io.Reader
	if object != nil {
		text, err := json.Marshal(object)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.base.String(), "/")+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Accept", plainJSON)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		var said *url.Error // names method and path a second time
		if errors.As(err, &said) {
			err = said.Err
		}
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("%s %s: %w", method, path, refusalOf(response, text))
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}
