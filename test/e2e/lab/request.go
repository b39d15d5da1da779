package lab

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/protocol"
)

func (g *Guest) request(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	target := url.URL{Scheme: "http", Host: g.address, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	request.Header.Set(protocol.TokenHeader, g.token)
	return request, nil
}

func (g *Guest) send(ctx context.Context, method, path string, query map[string]string, body io.Reader) (*http.Response, error) {
	values := url.Values{}
	for name, value := range query {
		values.Set(name, value)
	}
	return g.sendQuery(ctx, method, path, values, body)
}

// sendQuery sends a request to the agent; an answer other than 200 is an error.
func (g *Guest) sendQuery(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Response, error) {
	request, err := g.request(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	response, err := g.client.Do(request)
	if err != nil {
		select {
		case <-g.ended:
			return nil, fmt.Errorf("ask the agent: the guest has ended (logs: %s): %w", g.options.Logs, err)
		default:
			return nil, fmt.Errorf("ask the agent: %w", err)
		}
	}
	if response.StatusCode != http.StatusOK {
		return nil, refusal(response)
	}
	return response, nil
}

// refusal is the agent's own explanation.
func refusal(response *http.Response) error {
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("read the agent's refusal: %w", err)
	}
	if response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: %w", strings.TrimSpace(string(text)), fs.ErrNotExist)
	}
	return fmt.Errorf("the agent says: %s", strings.TrimSpace(string(text)))
}
