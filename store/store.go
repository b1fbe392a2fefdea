// Package store keeps the control plane's rows in one SQLite file: write-ahead log, synchronous FULL, group commit.
//
// Write takes the rows of one step and returns at once with a ticket; Wait blocks until that ticket, and so everything
// before it, is on the disk. One goroutine commits whatever has gathered as one transaction, so the cost of a sync is
// shared by all who wait. Rows go in the order of Write; a reader of the file always sees a state that was once current.
//
// A commit that fails (a full disk) loses nothing: the rows are kept and tried again, those who wait are told after a
// bounded time, and no effect that depends on them starts. The package knows nothing of what the rows mean.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Row is one row to write; a nil Value deletes it. A Value is encoded as JSON after Write has returned, so it must not
// be changed any more.
type Row struct {
	Table, Key string
	Value      any
}

// Ticket is a place in the order of writes; zero is before all of them.
type Ticket uint64

// retry is the pause between attempts at a commit that fails.
const retry = 200 * time.Millisecond

// Store is an open store. Its methods may be called from any goroutine.
type Store struct {
	// Patience is how long Wait puts up with commits that fail; set it before the first Wait.
	Patience time.Duration
	// Report, if set before Load, gets defects: rows that have no JSON form and are left as they were on the disk.
	Report func(defect error)

	using sync.Mutex // held while conn is used
	conn  *sqlite.Conn
	lock  *os.File

	mu      sync.Mutex
	queue   []Row
	written Ticket        // the last one given out
	durable Ticket        // the last one on the disk
	err     error         // why the last commit failed; nil when it did not
	moved   chan struct{} // closed and replaced when durable or err changes
	work    chan struct{}
	closed  bool
	done    chan struct{} // closed when the committer has ended; nil before Load has started it
}

// schema is run at every start, a statement at a time: the pragmas may not be inside a transaction.
var schema = []string{
	"pragma journal_mode = wal",
	"pragma synchronous = full",
	// With a row ID, data is kept apart from the index: many rows are longer than what an index takes without overflow pages.
	"create table if not exists rows (id integer primary key, tbl text not null, key text not null, data blob not null, unique (tbl, key))",
}

// Open opens or makes the store in a directory. Only one process may have it open: the second gets an error that says
// so.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the data directory %s cannot be made: %w", dir, cause(err))
	}
	lock, err := Lock(dir)
	if err != nil {
		return nil, err
	}
	conn, err := sqlite.OpenConn(filepath.Join(dir, "billow.db"), sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL)
	if err == nil {
		for _, statement := range schema {
			if err == nil {
				err = sqlitex.ExecuteTransient(conn, statement, nil)
			}
		}
		if err != nil {
			conn.Close()
		}
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("the store in %s cannot be opened: %w", dir, plain(err))
	}
	s := &Store{Patience: 5 * time.Second, conn: conn, lock: lock, moved: make(chan struct{}), work: make(chan struct{}, 1)}
	return s, nil
}

// Lock takes a directory as Open does, for who wants it to himself without opening the store: to remove it.
func Lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data directory %s cannot be written: %w", dir, cause(err))
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another billow server is using the data directory %s", dir)
	}
	return f, nil
}

// Files are the names of what Open makes in its directory.
func Files() []string { return []string{"billow.db", "billow.db-wal", "billow.db-shm", "lock"} }

// Load calls yield with every row, then starts the committer. It must be called once, before the first Write.
func (s *Store) Load(yield func(table, key string, data []byte) error) error {
	var refused error
	err := sqlitex.ExecuteTransient(s.conn, "select tbl, key, data from rows order by tbl, key", &sqlitex.ExecOptions{
		ResultFunc: func(stmt *sqlite.Stmt) error {
			data := make([]byte, stmt.ColumnLen(2))
			stmt.ColumnBytes(2, data)
			refused = yield(stmt.ColumnText(0), stmt.ColumnText(1), data)
			return refused
		},
	})
	if refused != nil {
		return refused
	}
	if err != nil {
		return fmt.Errorf("the store cannot be read: %w", plain(err))
	}
	s.done = make(chan struct{})
	go s.commitLoop()
	return nil
}

// Write appends rows to the order of writes and returns the ticket to wait for.
func (s *Store) Write(rows []Row) Ticket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(rows) > 0 {
		s.queue = append(s.queue, rows...)
		s.written++
		select {
		case s.work <- struct{}{}:
		default:
		}
	}
	return s.written
}

// Wait blocks until a ticket is durable. It gives up with an error when ctx ends or when commits have been failing for
// some seconds; the rows may still become durable later.
func (s *Store) Wait(ctx context.Context, t Ticket) error {
	var deadline <-chan time.Time
	for {
		s.mu.Lock()
		durable, err, moved, closed := s.durable, s.err, s.moved, s.closed
		s.mu.Unlock()
		switch {
		case durable >= t:
			return nil
		case closed:
			return errors.New("the store is closed")
		case err != nil && deadline == nil:
			timer := time.NewTimer(s.Patience)
			defer timer.Stop()
			deadline = timer.C
		}
		select {
		case <-moved:
		case <-deadline:
			return fmt.Errorf("the store cannot be written: %w", plain(err))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Failing tells why commits fail at present; nil when they do not.
func (s *Store) Failing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return nil
	}
	return plain(s.err)
}

// Close commits what is queued and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.work)
	s.mu.Unlock()
	if s.done != nil {
		<-s.done
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := plain(s.err)
	s.signal()
	if cerr := s.conn.Close(); err == nil {
		err = cerr
	}
	s.lock.Close()
	return err
}

func (s *Store) signal() {
	close(s.moved)
	s.moved = make(chan struct{})
}

func (s *Store) commitLoop() {
	defer close(s.done)
	for range s.work {
		for s.commitQueued() != nil {
			s.mu.Lock()
			closed := s.closed
			s.mu.Unlock()
			if closed {
				return
			}
			time.Sleep(retry) // the wait between attempts at a disk that refuses writes
		}
	}
}

// commitQueued commits everything that has gathered. On an error the rows go back to the head of the queue.
func (s *Store) commitQueued() error {
	s.mu.Lock()
	rows, upTo := s.queue, s.written
	s.queue = nil
	s.mu.Unlock()
	err := s.commit(rows)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	if err != nil {
		s.queue = newest(append(rows, s.queue...)) // however long the disk stays full, what waits is no more than what exists
	} else {
		s.durable = upTo
	}
	s.signal()
	return err
}

func (s *Store) commit(rows []Row) (err error) {
	if len(rows) == 0 {
		return nil
	}
	s.using.Lock()
	defer s.using.Unlock()
	end, err := sqlitex.ImmediateTransaction(s.conn)
	if err != nil {
		return err
	}
	defer end(&err)
	put, err := s.conn.Prepare("insert into rows (tbl, key, data) values (?, ?, ?) on conflict (tbl, key) do update set data = excluded.data")
	if err != nil {
		return err
	}
	remove, err := s.conn.Prepare("delete from rows where tbl = ? and key = ?")
	if err != nil {
		return err
	}
	for _, r := range newest(rows) {
		stmt := remove
		if r.Value != nil {
			data, err := json.Marshal(r.Value)
			if err != nil {
				// A defect of whoever made the row. It must not keep all others from the disk for ever.
				s.report(fmt.Errorf("row %q of %s cannot be kept: %w", r.Key, r.Table, err))
				continue
			}
			stmt = put
			stmt.BindBytes(3, data)
		}
		stmt.BindText(1, r.Table)
		stmt.BindText(2, r.Key)
		if _, err := stmt.Step(); err != nil {
			return err
		}
		if err := stmt.Reset(); err != nil {
			return err
		}
	}
	return nil
}

// newest leaves out what was changed again later.
func newest(rows []Row) []Row {
	type id struct{ table, key string }
	last := make(map[id]int, len(rows))
	for i, r := range rows {
		last[id{r.Table, r.Key}] = i
	}
	if len(last) == len(rows) {
		return rows
	}
	left := make([]Row, 0, len(last))
	for i, r := range rows {
		if last[id{r.Table, r.Key}] == i {
			left = append(left, r)
		}
	}
	return left
}

func (s *Store) report(defect error) {
	if s.Report != nil {
		s.Report(defect)
	}
}

// plain words a failure of SQLite for somebody who does not know that there is one.
func plain(err error) error {
	if err == nil {
		return nil
	}
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull:
		return fmt.Errorf("the disk is full (%w)", err)
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return fmt.Errorf("its file billow.db is damaged (%w): put back a copy, or give it up with: billow destroy", err)
	case sqlite.ResultIOErr:
		return fmt.Errorf("the disk is full or fails (%w)", err)
	case sqlite.ResultReadOnly, sqlite.ResultPerm, sqlite.ResultCantOpen:
		return fmt.Errorf("its file billow.db cannot be written (%w)", err)
	}
	return err
}

// cause is why a file could not be used, without the name of the call.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
