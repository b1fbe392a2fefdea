package functions

import (
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/logs"
)

// book is where a journal tells its events.
type book struct {
	mu    sync.Mutex
	text  strings.Builder
	lines int
	most  int
}

func (b *book) take(facts ...cloud.Fact) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range facts {
		size := 0
		for _, e := range f.(logs.Written).Events {
			b.text.WriteString(e.Message)
			b.lines++
			size += len(e.Message)
		}
		b.most = max(b.most, size)
	}
}

func TestJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		j := newJournal(time.Now, b.take, cloud.Scope{}, "group", "stream")
		p := j.open("id-1", "7")
		j.note("INIT\n")
		j.begin()
		j.Write([]byte("one\ntw"))
		j.Write([]byte("o\nan\rerror\nhalf"))
		j.close(p, "END\n", "REPORT\n")
		j.Write([]byte(" of a line\n")) // still on its way when the answer came
		time.Sleep(time.Second)
		synctest.Wait()
		want := "INIT\nSTART RequestId: id-1 Version: 7\none\ntwo\nan\nerror\nhalf of a line\nEND\nREPORT\n"
		if got := b.text.String(); got != want || b.lines != 8 {
			t.Errorf("%d events: %q, want %q", b.lines, got, want)
		}
		tail, _ := base64.StdEncoding.DecodeString(j.tail(p))
		if string(tail) != want {
			t.Errorf("its tail is %q", tail)
		}
		j.open("id-2", "7")
		j.discard()
		p = j.open("id-3", "7")
		j.close(p, "END\n")
		j.finish()
		if rest := strings.TrimPrefix(b.text.String(), want); rest != "START RequestId: id-3 Version: 7\nEND\n" {
			t.Errorf("then it says %q", rest)
		}
	})
}

// However much is printed, what is held and told is bounded, and it is said that something is missing.
func TestJournalBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		j := newJournal(time.Now, b.take, cloud.Scope{}, "group", "stream")
		p := j.open("id-1", "7")
		j.begin()
		block := []byte(strings.Repeat(strings.Repeat("x", 999)+"\n", 32))
		for range 1000 { // 32 MB
			j.Write(block)
		}
		for range 100 { // a line of 3.2 MB
			j.Write(block[:999])
		}
		if cap(j.line) > 2*maxLine {
			t.Errorf("a line holds %d bytes", cap(j.line))
		}
		j.close(p, "END\n")
		j.finish()
		text := b.text.String()
		if len(text) > maxPage+1000 || len(text) < maxPage/2 {
			t.Errorf("%d bytes were kept", len(text))
		}
		if b.most > maxBatch+2*len(block) {
			t.Errorf("a batch has %d bytes", b.most)
		}
		if !strings.Contains(text, "bytes of output were left out") || !strings.HasSuffix(text, "END\n") {
			t.Errorf("it ends with %q", text[len(text)-300:])
		}
		if tail, _ := base64.StdEncoding.DecodeString(j.tail(p)); len(tail) != tailLength {
			t.Errorf("its tail has %d bytes", len(tail))
		}
	})
}
