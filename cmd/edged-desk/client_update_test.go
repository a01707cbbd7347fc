package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/firmware/serve/api/apitest"
)

func TestTheSoftwareIsReplacedInTheNameOfWhoActs(t *testing.T) {
	box := apitest.New(apitest.Calm)
	path, _ := startBox(t, box)
	file := filepath.Join(t.TempDir(), "r.tocsin")
	if err := os.WriteFile(file, []byte("a release"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"stage", file}, {"activate", "--within", "5m"}, {"confirm"}, {"back", "--why", "too loud"}} {
		var out bytes.Buffer
		if err := edged(t, t.Context(), &out, append([]string{"update"}, append(args, "-w", "李雷", "--socket", path)...)...); err != nil || out.Len() == 0 {
			t.Errorf("%v: %v %s", args, err, out.String())
		}
		var e *clientError
		if err := edged(t, t.Context(), &out, append([]string{"update"}, append(args, "--socket", path)...)...); !errors.As(err, &e) || e.code != exitUsage {
			t.Errorf("%v without a name: %v", args, err)
		}
	}
	var did []string
	for _, a := range box.Acts() {
		if a.Who.Name != "李雷" || a.Who.Via != "socket" {
			t.Errorf("%+v", a)
		}
		did = append(did, a.What)
	}
	if got := strings.Join(did, ","); got != "stage-release,activate-release,confirm-release,roll-back-release" {
		t.Error(got)
	}
}

func TestNothingMayBeReplacedWhileALevelStands(t *testing.T) {
	for _, c := range []struct {
		name string
		box  *apitest.Box
		may  bool
	}{{"calm", apitest.New(apitest.Calm), true}, {"a level stands", apitest.New(apitest.Alarm), false}} {
		t.Run(c.name, func(t *testing.T) {
			path, end := startBox(t, c.box)
			var e *clientError
			err := edged(t, t.Context(), &bytes.Buffer{}, "update", "may", "--socket", path)
			if c.may != (err == nil) || !c.may && (!errors.As(err, &e) || e.code != exitRefused) {
				t.Fatal(err)
			}
			end()
			if err := edged(t, t.Context(), &bytes.Buffer{}, "update", "may", "--socket", path); !errors.As(err, &e) || e.code != exitUnreachable {
				t.Fatal("a box that is not there is another matter:", err)
			}
		})
	}
}
