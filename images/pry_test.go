//go:build image

package images

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"tocsin/images/bench"
)

// A process of edged's user, in edged's place and beside it, tries to come at the board's disk
// in a boot that is a trial.
func TestNoProcessOfEdgedsUserOpensASlot(t *testing.T) {
	b := card(t)
	r, err := bench.OpenReleases(b.Disk, os.Getenv("TOCSIN_KEYS"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Try(b, bench.Variant{Version: "v2-pry", Root: "pry"}); err != nil {
		t.Fatal(err)
	}
	if err := b.On(); err != nil {
		t.Fatal(err)
	}
	if err := b.Says("pry: edged is done: <nil>", 1, most); err != nil {
		t.Fatal(err)
	}
	b.Cut()
	c := strings.ReplaceAll(b.Console(), "\r", "")
	for _, who := range []string{"edged", "child"} {
		if !regexp.MustCompile(`pry: ` + who + ` as 900 tried ([5-9]|[1-9][0-9]+) disks and opened \[\]\n`).MatchString(c) {
			t.Errorf("%s opened a disk, or found none", who)
		}
	}
	for _, line := range []string{
		"edged slot A, write false: given",
		"edged slot B, write false: given",
		`edged slot A, write true: {"err":"slot A is not written now: slot B runs, and the good one is A"}`,
		`edged slot B, write true: {"err":"slot B is what runs, and is not written"}`,
		"child slot A, write false: not answered",
		"child slot A, write true: not answered",
		"child slot B, write false: not answered",
		"child slot B, write true: not answered",
	} {
		if strings.Count(c, "pry: "+line+"\n") != 1 {
			t.Errorf("it does not say once: %s", line)
		}
	}
	if strings.Contains(c, "pry: edged opened slot") {
		t.Error("a descriptor to read is a way to one to write")
	}
	if strings.Count(c, ", and is not edged: not answered") != 4 {
		t.Error("nobody is told of the child")
	}
}
