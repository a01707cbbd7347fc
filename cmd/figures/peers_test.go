package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestAPeersBlockIsWrongOnlyWhereItsValueIsAnothers(t *testing.T) {
	for name, c := range map[string]struct {
		got  []uint16
		err  error
		want tally
	}{
		"its own":        {[]uint16{1010, 1011}, nil, tally{Good: 1}},
		"another's":      {[]uint16{1020, 1021}, nil, tally{Wrong: 1}},
		"half its own":   {[]uint16{1010, 1021}, nil, tally{Wrong: 1}},
		"another length": {[]uint16{1010}, nil, tally{Wrong: 1}},
		"an error":       {nil, errors.New("timeout"), tally{Failed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var sum tally
			if sum.take(10, 2, c.got, c.err); sum != c.want {
				t.Errorf("%+v, want %+v", sum, c.want)
			}
		})
	}
}

func TestAPeersFigureHasNoGoal(t *testing.T) {
	var out bytes.Buffer
	b := &bench{name: "x", out: &printer{enc: json.NewEncoder(&out), only: "acquire.a", seed: 7}, goals: []goal{{"acquire.a_share", atLeast, 0.9}, {"acquire.b", atMost, 0}}}
	b.beside("acquire.a_share", "goburrow", 0.25, 12)
	b.beside("acquire.a_share", "goburrow", 0.26, 12) // once
	b.beside("acquire.a_share", "simonvetter", 0.5, 0)
	b.beside("acquire.b", "goburrow", 3, 9) // not asked for
	var m map[string]any
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if m["figure"] != "acquire.a_share.goburrow" || m["value"] != 0.25 || m["unit"] != "1" || m["peer"] != "goburrow" || m["n"] != 12.0 || m["seed"] != 7.0 {
		t.Errorf("%v", m)
	}
	if m["goal"] != nil || m["holds"] != nil {
		t.Errorf("a peer is held to a goal: %v", m)
	}
}

func TestMemoryIsToldInItsParts(t *testing.T) {
	h, err := memoryOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if h.rss < h.anon || h.anon <= 0 || h.file <= 0 || h.pss <= 0 || !strings.Contains(h.String(), "resident") {
		t.Errorf("%+v", h)
	}
}
