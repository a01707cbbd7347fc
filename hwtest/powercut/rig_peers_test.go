//go:build peers

package powercut

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func rig(t *testing.T, seed uint64) *Rig {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip("no power-cut rig here: ", err)
	}
	r, err := New(32, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func put(t *testing.T, path string, data []byte, sync bool) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if !sync {
		return
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasSyncedSurvivesAndANaiveWriterLoses(t *testing.T) {
	r := rig(t, 7)
	naive := 0
	want := map[string][]byte{}
	for i := range 12 {
		data := bytes.Repeat([]byte{byte(i + 1)}, 10_000)
		name := fmt.Sprintf("synced-%d", i)
		put(t, filepath.Join(r.Dir(), name), data, true)
		want[name] = data
		put(t, filepath.Join(r.Dir(), fmt.Sprintf("naive-%d", i)), data, false)
		if err := r.Cut(); err != nil {
			t.Fatal(err)
		}
		if left, _ := os.ReadDir(r.Dir()); len(left) != 0 {
			t.Fatalf("the directory is not empty while the power is off: %v", left)
		}
		if err := r.Restore(); err != nil {
			t.Fatal(err)
		}
		for name, data := range want {
			if got, err := os.ReadFile(filepath.Join(r.Dir(), name)); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("cut %d: %s was synced and is lost: %v (%d bytes)", i, name, err, len(got))
			}
		}
		if got, err := os.ReadFile(filepath.Join(r.Dir(), fmt.Sprintf("naive-%d", i))); err != nil || !bytes.Equal(got, data) {
			naive++
		}
	}
	if naive == 0 {
		t.Error("the naive writer lost nothing in 12 cuts: the rig does not bite")
	}
	t.Logf("naive writer lost %d of 12; %+v", naive, r.Stats())
}

func TestADiskThatLiesAboutFlushesLosesWhatWasSynced(t *testing.T) {
	r := rig(t, 3)
	lost := 0
	for i := range 12 {
		r.Lie(true)
		name := filepath.Join(r.Dir(), fmt.Sprintf("synced-%d", i))
		data := bytes.Repeat([]byte{byte(i + 1)}, 10_000)
		put(t, name, data, true)
		if err := r.Cut(); err != nil {
			t.Fatal(err)
		}
		r.Lie(false)
		if err := r.Restore(); err != nil {
			t.Logf("cut %d: not even the file system came up: %v", i, err)
			return
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, data) {
			lost++
		}
	}
	if lost == 0 {
		t.Error("a lying disk lost nothing: the rig would not notice a missing flush")
	}
}

func TestFlushesPassThroughTheFileSystem(t *testing.T) {
	r := rig(t, 1)
	before := r.Stats().Flushes
	put(t, filepath.Join(r.Dir(), "x"), []byte("x"), true)
	if after := r.Stats().Flushes; after <= before {
		t.Errorf("a sync reached the disk as no flush (%d, %d)", before, after)
	}
	began := time.Now()
	if err := r.Cut(); err != nil {
		t.Fatal(err)
	}
	if err := r.Restore(); err != nil {
		t.Fatal(err)
	}
	t.Logf("cut and restore take %v", time.Since(began))
}
