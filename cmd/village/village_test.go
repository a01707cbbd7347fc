//go:build peers

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestTheStormRunsUnattended is make demo FOR=175s: a real edged, a storm in real
// time, and every step seen from outside. Its steps have limits in seconds; on a
// machine that was busy elsewhere one retry is allowed, and said.
func TestTheStormRunsUnattended(t *testing.T) {
	dir := t.TempDir()
	edged := filepath.Join(dir, "edged")
	// As make builds it: a box that does not know when it was built cannot know that
	// last year is over.
	stamp := "-X tocsin/firmware/station.BuildUnix=" + strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
	if out, err := exec.Command("go", "build", "-ldflags", stamp, "-o", dir, "tocsin/cmd/edged", "tocsin/cmd/edged-desk", "tocsin/cmd/edged-video").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	hubd := filepath.Join(dir, "hubd")
	if out, err := exec.Command("go", "build", "-o", hubd, "tocsin/cmd/hubd").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for try := 1; ; try++ {
		out := filepath.Join(dir, "out")
		missed := storms(t, edged, hubd, out)
		if len(missed) == 0 {
			return
		}
		tell := t.Errorf
		if try == 1 {
			tell = t.Logf
		}
		log, _ := os.ReadFile(filepath.Join(out, "edged.log"))
		tell("storm %d, not seen:\n%s\nedged.log ends:\n%s", try, strings.Join(missed, "\n"), log[max(0, len(log)-6000):])
		if try == 2 {
			return
		}
		t.Log("once more: the machine may have been busy")
	}
}

// storms runs one storm and gives the steps that were not seen, and what else
// the summary or the exit code says against it.
func storms(t *testing.T, edged, hubd, out string) (missed []string) {
	t.Helper()
	const limit = 175 * time.Second
	code, err := run(t.Context(), edged, hubd, out, limit)
	if err != nil {
		return []string{err.Error()}
	}
	b, err := os.ReadFile(filepath.Join(out, "summary.json"))
	if err != nil {
		return []string{err.Error()}
	}
	var s struct {
		OK       bool      `json:"ok"`
		Seconds  float64   `json:"seconds"`
		Steps    []result  `json:"steps"`
		Receipts []receipt `json:"receipts"`
		Links    []string  `json:"links"`
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return []string{err.Error()}
	}
	for _, r := range s.Steps {
		if !r.Seen {
			missed = append(missed, r.Name+": "+r.By)
		}
	}
	if !s.OK || code != 0 {
		missed = append(missed, "ok is "+strconv.FormatBool(s.OK)+", exit code "+strconv.Itoa(code))
	}
	if code == 0 && !s.OK || code != 0 && s.OK {
		t.Errorf("ok %v and exit code %d contradict", s.OK, code)
	}
	if len(s.Steps) < 10 || len(s.Receipts) == 0 || s.Seconds > limit.Seconds()+5 {
		t.Errorf("%d steps and %d receipts in %.0f s", len(s.Steps), len(s.Receipts), s.Seconds)
	}
	// Something went up by BeiDou and something came down by it.
	for _, way := range []string{"up ", "down "} {
		if !slices.ContainsFunc(s.Links, func(l string) bool { return strings.HasPrefix(l, way) && strings.Contains(l, "beidou") }) {
			t.Errorf("nothing went %sby BeiDou: %q", way, s.Links)
		}
	}
	if w, err := os.Stat(filepath.Join(out, "siren.wav")); err != nil || w.Size() < 1<<12 {
		t.Errorf("the siren's sound: %v", err)
	}
	return missed
}
