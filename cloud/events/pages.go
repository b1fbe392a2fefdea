package events

import (
	"encoding/base64"
	"iter"
	"strings"

	"github.com/billow-cloud/billow/api"
)

// pageSize is how many things a list gives when the call does not say; it is also the most that a call can ask for.
const pageSize = 100

// page takes the rows of one page. The token is the ID of the last row that was given, so that rows that come or go
// between two pages neither shift nor repeat others.
func page[R any](rows iter.Seq2[string, R], token *string, limit *int32) ([]R, *string, error) {
	after := ""
	if token != nil {
		b, err := base64.URLEncoding.DecodeString(*token)
		text, ok := strings.CutPrefix(string(b), "after ")
		if err != nil || !ok {
			return nil, nil, invalid("The value of NextToken is not valid.")
		}
		after = text
	}
	n := int(api.Or(limit, pageSize))
	taken, last := []R{}, ""
	for id, row := range rows {
		if token != nil && id <= after {
			continue
		}
		if len(taken) == n {
			return taken, new(base64.URLEncoding.EncodeToString([]byte("after " + last))), nil
		}
		taken, last = append(taken, row), id
	}
	return taken, nil, nil
}
