package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"time"

	"tocsin/hwtest/ear"
)

// heardLevel is what counts as heard, in dBFS.
const heardLevel = -40

// ears listen to the loudspeaker's folder.
type ears struct {
	e   *ear.Ear
	err error
}

func newEars(dir string) *ears {
	e, err := ear.Open(dir)
	return &ears{e, err}
}

// first gives when the loudspeaker was first heard after t.
func (e *ears) first(t time.Time) (time.Time, error) {
	if e.err != nil {
		return time.Time{}, e.err
	}
	at, ok := e.e.FirstAbove(t, heardLevel)
	if !ok {
		return at, fmt.Errorf("nothing is heard")
	}
	return at, nil
}

func (e *ears) close() {
	if e.e != nil {
		e.e.Close()
	}
}

// keepSounds copies what the loudspeaker played: every sounding by its number,
// and the longest as siren.wav.
func keepSounds(from, to string) error {
	files, err := filepath.Glob(filepath.Join(from, "*.wav"))
	if err != nil {
		return err
	}
	sort.Strings(files)
	old, err := filepath.Glob(filepath.Join(to, "*.wav"))
	if err != nil {
		return err
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	longest, size := "", int64(0)
	for _, f := range files {
		st, err := os.Lstat(f)
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		if err := copyFile(f, filepath.Join(to, "sounding-"+filepath.Base(f))); err != nil {
			return err
		}
		if st.Size() > size {
			longest, size = f, st.Size()
		}
	}
	if longest == "" {
		return fmt.Errorf("the loudspeaker played nothing")
	}
	return copyFile(longest, filepath.Join(to, "siren.wav"))
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		w.Close()
		return err
	}
	return w.Close()
}
