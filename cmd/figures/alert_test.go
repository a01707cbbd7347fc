package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func newTrial(t *testing.T) *trial {
	t.Helper()
	d, err := newDesk(1)
	if err != nil {
		t.Fatal(err)
	}
	return &trial{b: &bench{ctx: t.Context(), name: t.Name()}, f: &forger{d, rand.New(rand.NewPCG(1, 2))}}
}

// TestEveryKindOfForgeryIsMade: each of several times, in several algorithms, and
// never what was signed unless it is wrong by what it says.
func TestEveryKindOfForgeryIsMade(t *testing.T) {
	tr := newTrial(t)
	names := map[string]bool{}
	for i, kind := range forgeries {
		if names[kind.name] {
			t.Errorf("%q is there twice", kind.name)
		}
		names[kind.name] = true
		for n := range 3 {
			m, forged, err := tr.forge(kind, i+n*len(forgeries))
			if err != nil || len(forged) == 0 {
				t.Fatalf("%s: %v", kind.name, err)
			}
			saysSo := kind.of.Sender != "" || !kind.of.Sent.IsZero()
			if bytes.Equal(forged, m.Signed) && !saysSo {
				t.Errorf("%s: the bytes are as they were signed", kind.name)
			}
		}
	}
	if n := len(names) * 6; n < 500 {
		t.Errorf("six rounds of %d kinds are only %d forgeries", len(names), n)
	}
}

// answering is a box that answers every alert alike.
func answering(t *testing.T, v verdict, shown ...map[string]any) *box {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/alerts", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(v) })
	mux.HandleFunc("GET /api/v1/alerts", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(shown) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return &box{b: &bench{ctx: t.Context(), name: t.Name()}, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
		},
	}}}
}

func TestWhatABoxTakesWronglyIsCounted(t *testing.T) {
	taken := verdict{WellFormed: true, Genuine: true, Trusted: true, InForce: true, Identity: "a"}
	shows := func(headline, way string) map[string]any {
		return map[string]any{"headline": headline, "ways": []string{way}, "seen": len(way), "verdict": map[string]any{"identity": "a"}}
	}
	layout, content := forgery{name: "x", layout: true}, forgery{name: "y"}
	tr := newTrial(t)
	tr.genuine = answering(t, taken, shows("山洪", "socket"))
	for name, c := range map[string]struct {
		kind forgery
		box  *box
		bad  string
		took bool
	}{
		"a forgery that stands":       {kind: content, box: answering(t, taken), bad: "it stands"},
		"a layout shown as signed":    {kind: layout, box: answering(t, taken, shows("山洪", "x")), took: true},
		"a layout shown as something": {kind: layout, box: answering(t, taken, shows("山", "x")), bad: "was signed as"},
	} {
		tr.silent, tr.lively = c.box, c.box
		bad, took, err := tr.judge(c.kind, message{}, []byte("x"))
		if err != nil || !strings.Contains(bad, c.bad) || (bad == "") != (c.bad == "") || took != c.took {
			t.Errorf("%s: %q %v %v", name, bad, took, err)
		}
	}
	// A box that refuses everything refuses the truth in between too: nothing is measured.
	tr.silent = answering(t, verdict{})
	if _, _, err := tr.judge(content, message{}, []byte("x")); err == nil {
		t.Error("a deaf box was believed")
	}
}

func TestABeginningIsFoundInTheJournal(t *testing.T) {
	all := []record{{Seq: 1, Kind: "alert.held"}, {Seq: 2, Kind: "alert.began", Cause: "w-1"}, {Seq: 3, Kind: "fault"}, {Seq: 4, Kind: "alarm.raised"}}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/journal", func(w http.ResponseWriter, r *http.Request) {
		var l []record
		for _, x := range all {
			if x.Seq > int64(atoi(r.URL.Query().Get("after"))) {
				l = append(l, x)
			}
		}
		json.NewEncoder(w).Encode(l[:min(len(l), 3)])
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	x := answering(t, verdict{})
	x.http = &http.Client{Timeout: time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
	}}}
	n, last, some, err := x.beganSince(0)
	if n != 2 || last != 4 || len(some) != 2 || err != nil {
		t.Errorf("%d %d %v %v", n, last, some, err)
	}
	if n, _, _, err := x.beganSince(2); n != 1 || err != nil {
		t.Errorf("after the first: %d %v", n, err)
	}
}

// TestEveryTargetOfItsRoomsIsFuzzed holds the literal table to the source.
func TestEveryTargetOfItsRoomsIsFuzzed(t *testing.T) {
	var there []fuzzTarget
	for _, room := range alertRooms {
		r, err := readRoom("../../" + room)
		if err != nil {
			t.Fatal(err)
		}
		for name := range r.targets {
			there = append(there, fuzzTarget{room, name})
		}
	}
	for _, x := range there {
		if !slices.Contains(alertTargets, x) {
			t.Errorf("%v is not in the table", x)
		}
	}
	for _, x := range alertTargets {
		if !slices.Contains(there, x) {
			t.Errorf("the table has %v, which is not there", x)
		}
	}
}
