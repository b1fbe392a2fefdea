package daemon

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/sns"
)

// deliverTimeout is how long, in wall time, an HTTP subscriber may take, as with SNS.
const deliverTimeout = 15 * time.Second

// deliveries carries SNS messages to HTTP subscribers.
type deliveries struct{ client *http.Client }

func newDeliveries() *deliveries {
	return &deliveries{client: &http.Client{Timeout: deliverTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

// do posts one message and returns what became of it.
func (d *deliveries) do(ctx context.Context, e sns.DeliverHTTP) cloud.Fact {
	result := sns.Delivered{MessageID: e.MessageID, SubscriptionARN: e.SubscriptionARN, Attempt: e.Attempt}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, strings.NewReader(e.Body))
	if err != nil {
		result.Error = err.Error()
		return result
	}
	for _, h := range e.Headers {
		request.Header.Set(h.Name, h.Value)
	}
	response, err := d.client.Do(request)
	if err != nil {
		result.Error = err.Error()
		return result
	}
	io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	response.Body.Close()
	result.Status = response.StatusCode
	return result
}
