package autoscaling

import (
	"encoding/base64"
	"iter"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// A list is paged by the ID of the last row that was given: the token is that ID, so that rows that come or go between
// two pages neither shift nor repeat others.

// pick yields the rows of the IDs, or of all IDs after the one in the token if no IDs are given. Unknown IDs are left
// out (AS-ER-03).
func pick[R any](tx *cloud.Tx, rows cloud.Rows[R], ids []string, token *string) iter.Seq2[string, R] {
	if len(ids) == 0 {
		after, _ := decodeToken(token)
		if after == "" {
			return rows.All(tx)
		}
		return rows.After(tx, after)
	}
	return func(yield func(string, R) bool) {
		for _, id := range sortedSet(ids) {
			if row, ok := rows.Get(tx, id); ok && !yield(id, row) {
				return
			}
		}
	}
}

// page takes the rows of one page: those after the token's, at most size or, if that is not given, usual. With the
// token of the next page, if there is one.
func page[R any](rows iter.Seq2[string, R], token *string, size *int32, usual, most int) ([]R, *string, error) {
	after, ok := decodeToken(token)
	if !ok {
		return nil, nil, api.Errorf("InvalidNextToken", "The token '%s' is invalid.", *token)
	}
	n := usual
	if size != nil && *size > 0 {
		n = min(int(*size), most)
	}
	var taken []R
	last := ""
	for id, row := range rows {
		if after != "" && id <= after {
			continue
		}
		if len(taken) == n {
			return taken, new(base64.URLEncoding.EncodeToString([]byte("after " + last))), nil
		}
		taken, last = append(taken, row), id
	}
	return taken, nil, nil
}

func decodeToken(token *string) (after string, ok bool) {
	if token == nil {
		return "", true
	}
	b, err := base64.URLEncoding.DecodeString(*token)
	if err != nil || len(b) < 7 || string(b[:6]) != "after " {
		return "", false
	}
	return string(b[6:]), true
}

// counted is the number of rows, at most limit.
func counted[R any](rows iter.Seq2[string, R], limit int) int {
	n := 0
	for range rows {
		if n++; n >= limit {
			break
		}
	}
	return n
}

// some is nil for an empty string.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// filled is some without a copy.
func filled(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}

// positive is nil for zero.
func positive(n int) *int32 {
	if n == 0 {
		return nil
	}
	return new(int32(n))
}
