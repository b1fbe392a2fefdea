package store

import (
	"fmt"

	"zombiezen.com/go/sqlite/sqlitex"
)

// setMaxPages limits the file's size.
func setMaxPages(s *Store, n int) error {
	s.using.Lock()
	defer s.using.Unlock()
	return sqlitex.ExecuteTransient(s.conn, fmt.Sprintf("pragma max_page_count = %d", n), nil)
}
