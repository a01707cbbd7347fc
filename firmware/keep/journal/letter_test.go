package journal

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tocsin/firmware/clock"
)

func letter(id string, class uint8) *Letter {
	return &Letter{
		ID: id, Class: class, Kind: 1, Key: "k/" + id, Deadline: 30 * time.Minute,
		Made:    clock.Stamp{Mono: 7 * time.Second, Wall: time.Unix(1_800_000_000, 5), Boot: "b1", Trust: clock.Held},
		Payload: []byte("payload " + id), Narrow: []byte("n"), Tries: []byte(`{"fibre":1}`),
	}
}

func ids(ls []Letter) string {
	s := ""
	for _, l := range ls {
		s += l.ID + " "
	}
	return s
}

func TestLettersCommitWithTheirRecordAndComeBackWhole(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir)
	j.Commit(Batch{Records: []Record{{Kind: "alarm.raised", Cause: "c"}}, Outbox: map[string]*Letter{"a": letter("a", 0), "b": letter("b", 4)}})
	j.Commit(Batch{Outbox: map[string]*Letter{"b": nil, "c": letter("c", 3)}})
	synced(t, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = opened(t, dir)
	got := j.Letters()
	if ids(got) != "a c " {
		t.Fatalf("letters %s", ids(got))
	}
	if got[0].sum() != letter("a", 0).sum() || !got[0].Made.Wall.Equal(letter("a", 0).Made.Wall) {
		t.Errorf("came back as %+v", got[0])
	}
}

// What a caller does to its letter afterwards does not reach the outbox.
func TestALetterIsTheOutboxsOwn(t *testing.T) {
	j := opened(t, t.TempDir())
	l := letter("a", 0)
	j.Commit(Batch{Outbox: map[string]*Letter{"a": l}})
	l.Payload[0] = 'X'
	got := j.Letters()
	got[0].Payload[1] = 'Y'
	if s := string(j.Letters()[0].Payload); s != "payload a" {
		t.Errorf("payload %q", s)
	}
}

func TestACapThatPrunesRecordsLeavesLetters(t *testing.T) {
	j := opened(t, t.TempDir(), func(o *Opts) { o.MaxRows = 10 })
	for i := range 300 {
		id := fmt.Sprintf("%03d", i)
		j.Commit(Batch{Records: []Record{{Kind: "reading"}}, Outbox: map[string]*Letter{id: letter(id, uint8(i%6))}})
		if i%3 == 0 {
			synced(t, j)
		}
	}
	synced(t, j)
	until(t, "the cap has worked", func() bool {
		j.Append(Record{Kind: "reading"})
		synced(t, j)
		recs, err := j.Read(context.Background(), 0, MaxRead)
		return err == nil && len(recs) < 200
	})
	if n := len(j.Letters()); n != 300 {
		t.Errorf("%d letters", n)
	}
}

func TestLettersAreBroughtOverToANewFile(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir)
	j.Commit(Batch{Outbox: map[string]*Letter{"a": letter("a", 0)}})
	synced(t, j)
	for _, suffix := range []string{"", "-wal"} {
		os.Remove(filepath.Join(dir, fileName+suffix))
	}
	j.Commit(Batch{Outbox: map[string]*Letter{"b": letter("b", 0)}})
	synced(t, j)
	until(t, "both are in the new file", func() bool {
		db, err := sql.Open("sqlite", dsn(filepath.Join(dir, fileName), "query_only(1)"))
		if err != nil {
			return false
		}
		defer db.Close()
		l := loaded{letters: map[string]*Letter{}}
		return loadLetters(db, &l) == nil && len(l.letters) == 2 && l.damaged == 0
	})
}

// A file of the release before has no outbox; opening it adds one and keeps what is there.
func TestAFileOfTheReleaseBeforeGainsAnOutbox(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", dsn(filepath.Join(dir, fileName), "journal_mode(WAL)"))
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate(db, migrations[:1]); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO state (key, value, sum) VALUES ('k', 'v', ?); INSERT INTO meta VALUES ('born', 1)`, valueSum("k", []byte("v"))); err != nil {
		t.Fatal(err)
	}
	db.Close()
	j := opened(t, dir)
	j.Commit(Batch{Outbox: map[string]*Letter{"a": letter("a", 0)}})
	synced(t, j)
	if v, ok := j.Get("k"); !ok || string(v) != "v" || ids(j.Letters()) != "a " {
		t.Errorf("%q %v, letters %s", v, ok, ids(j.Letters()))
	}
}

func TestADamagedLetterIsCountedAndLeftOut(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir)
	j.Commit(Batch{Outbox: map[string]*Letter{"a": letter("a", 0), "b": letter("b", 0)}})
	synced(t, j)
	j.Close()
	db, err := sql.Open("sqlite", dsn(filepath.Join(dir, fileName)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`UPDATE outbox SET payload = 'other' WHERE id = 'a'`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	j = opened(t, dir)
	if ids(j.Letters()) != "b " || j.Stats().Damaged != 1 {
		t.Errorf("letters %s, %+v", ids(j.Letters()), j.Stats())
	}
}
