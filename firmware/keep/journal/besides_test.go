package journal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Of several that stood in each is carried over once, the oldest first; one that cannot be read
// or is not there costs the others nothing.
func TestOfSeveralThatStoodInEachIsCarriedOverOnce(t *testing.T) {
	dir, first, broken, second := filepath.Join(t.TempDir(), "data"), t.TempDir(), t.TempDir(), t.TempDir()
	latest := func(own, other map[string][]byte, _ bool) map[string][]byte { return other }
	written(t, dir, 1, map[string]string{"n": "disk"})
	written(t, first, 30, map[string]string{"n": "first", "f": "first"})
	last := written(t, second, 60, map[string]string{"n": "second", "s": "second"})
	if err := os.WriteFile(filepath.Join(broken, fileName), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(dirs ...string) func(o *Opts) {
		return func(o *Opts) { o.Merge, o.Beside = latest, strings.Join(dirs, string(filepath.ListSeparator)) }
	}
	all := with(first, broken, filepath.Join(dir, "none"), second)

	j := opened(t, dir, all)
	stood(t, j, "n", "second")
	stood(t, j, "f", "first")
	stood(t, j, "s", "second")
	j.Append(Record{Kind: "system.test"})
	synced(t, j)
	if got := j.Stats().LastSeq; got <= last {
		t.Errorf("number %d is given again: the last of those was %d", got, last)
	}
	if n := kinds(t, j); n["journal.carried"] != 2 || n["journal.not_carried"] != 1 {
		t.Errorf("told: %v", n)
	}
	j.Put("n", []byte("since"))
	synced(t, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	j = opened(t, dir, all)
	stood(t, j, "n", "since")
	if n := kinds(t, j); n["journal.carried"] != 2 || n["journal.not_carried"] != 1 {
		t.Errorf("told once more: %v", n)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	// Another that comes later is carried over, and those of before are not once more.
	third := t.TempDir()
	written(t, third, 1, map[string]string{"s": "third"})
	j = opened(t, dir, with(first, second, third))
	stood(t, j, "n", "since")
	stood(t, j, "s", "third")
}
