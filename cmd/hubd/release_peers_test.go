//go:build peers

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tocsin/cmd/hubd/console"
	"tocsin/firmware/phrase"
	"tocsin/hwtest/built"
	"tocsin/hwtest/release"
	"tocsin/hwtest/storm"
)

// TestAnOfficersOrderChangesWhatARealBoxRuns goes from the order at a real hub to the changed version of a real box, and
// for the next one to the reason why it went back: it waits for the release and for calm, and each is told to the hub.
func TestAnOfficersOrderChangesWhatARealBoxRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wang, li := w.officers("software")
	w.shelve(2, "2.0", "bench")
	w.shelve(3, "3.0", "bench")
	edged := filepath.Join(w.dir, "edged")
	built.Into(t, w.dir, "edged")
	short, err := os.MkdirTemp("", "box") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	v, err := storm.Build(storm.Config{Dir: filepath.Join(short, "dev"), River: 3, Upstream: 3, Gas: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	h, _ := w.hub()

	o := w.natsOpts(upper, h.engine.Addr().String())
	for name, b := range map[string][]byte{"box.root": []byte(hex.EncodeToString(w.root[upper])), "box.pem": o.Certificate, "box.key": o.Key, "box.seed": o.Seed} {
		w.write(name, b)
	}
	trusted, err := os.ReadFile(filepath.Join(w.dir, "trust.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	site := strings.NewReplacer("FIELD", v.Port(storm.FieldPort), "OUT", v.Port(storm.OutPort), "NATS", h.engine.Addr().String(),
		"  satellite: {kind: datagrams, servers: [\"DATAGRAMS\"], psk: box.root}\n", "", "  beidou: {kind: beidou, port: SKY, to: \"0247718\", transmit: {card: \"0123456\", approval: X}}\n", "").Replace(boxSite)
	site += "    " + strings.ReplaceAll(strings.TrimSpace(string(trusted)), "\n", "\n    ") + "\n"
	log, err := os.Create(filepath.Join(w.dir, "edged.log"))
	if err != nil {
		t.Fatal(err)
	}
	bench, socket := filepath.Join(short, "bench"), filepath.Join(short, "s")
	if err := release.New(1).Trusted(bench); err != nil {
		t.Fatal(err)
	}
	box := exec.Command(edged, "run", "-c", w.write("site.yaml", []byte(site)), "--data", filepath.Join(short, "data"), "--socket", socket, "--bench", bench)
	box.Stdout, box.Stderr = log, log
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = box.Process.Signal(syscall.SIGTERM)
		_ = box.Wait()
		if b, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("the box:\n%s", b)
		}
	})
	until(t, "the box reports", func() bool { return h.book.State().Stations[upper].Ready })
	ask := func(path string, body any, into any) int {
		t.Helper()
		var r io.Reader = http.NoBody
		method, kind := http.MethodGet, "application/json"
		switch b := body.(type) {
		case nil:
		case []byte:
			method, kind, r = http.MethodPost, "application/octet-stream", bytes.NewReader(b)
		default:
			j, _ := json.Marshal(b)
			method, r = http.MethodPost, bytes.NewReader(j)
		}
		q, err := http.NewRequestWithContext(context.Background(), method, "http://edged/api/v1"+path, r)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Content-Type", kind)
		a, err := overSocket(socket).Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		if into != nil && json.NewDecoder(a.Body).Decode(into) != nil {
			t.Fatal(path, a.Status)
		}
		return a.StatusCode
	}
	// hears waits until the command line's list says how the order stands.
	hears := func(what string, ok func(console.Software) bool) (s console.Software) {
		t.Helper()
		until(t, what, func() bool { s = w.listed(upper); return ok(s) })
		return s
	}
	waits := func(code string) func(console.Software) bool {
		return func(s console.Software) bool {
			return s.Wanted != nil && s.Wanted.State == "waits" && s.Wanted.Code == code
		}
	}

	by := orderBy{releaseFile: releaseFile{w.file}, To: []string{string(upper)}, Key: []string{wang, li}, Person: "王建国"}
	one := ReleaseActivateCmd{orderBy: by, Number: 2, Until: "48h"}
	one.Key = one.Key[:1]
	if err := one.Run(&Globals{Lang: "zh", Out: io.Discard}); phrase.Of(err).Code != "hubd.order_persons" {
		t.Fatal("one person's order is sent: ", err)
	}
	var out bytes.Buffer
	if err := (&ReleaseActivateCmd{orderBy: by, Number: 2, Until: "48h"}).Run(&Globals{Lang: "zh", Out: &out}); err != nil || !strings.Contains(out.String(), "1 个站点") {
		t.Fatal(err, out.String())
	}
	s := hears("it waits for its release", waits("update.order_not_here"))
	if !strings.Contains(s.Wanted.By, "王建国") || s.Wanted.Link != "fibre" || s.Wanted.Taken.IsZero() || s.Wanted.Text == nil || s.Wanted.Text.ZH == "" || s.Wanted.Text.ZH == s.Wanted.Text.EN {
		t.Errorf("%+v", s.Wanted)
	}
	v.Gas.Set(60)
	type alarm struct{ ID, State string }
	var alarms []alarm
	until(t, "a level stands", func() bool {
		return ask("/alarms", nil, &alarms) == http.StatusOK && len(alarms) > 0 && alarms[0].State == "raised"
	})
	if code := ask("/update/file?who=tester", release.New(1).File(2, "2.0"), nil); code != http.StatusOK {
		t.Fatal(code)
	}
	hears("it waits for calm", waits("update.level"))
	v.Gas.Set(2)
	until(t, "the level is lifted", func() bool {
		return ask("/alarms/"+alarms[0].ID+"/release", map[string]string{"who": "王工", "reason": "通风"}, nil) < 300
	})
	s = hears("the release is on trial", func(s console.Software) bool {
		return s.Runs.Number == 2 && s.Phase == "trial" && s.Outcome != nil && s.Outcome.Outcome == "trial"
	})
	if !strings.Contains(s.Outcome.Text.ZH, "王建国") {
		t.Errorf("not in the officer's name: %+v", s.Outcome)
	}
	if code := ask("/update/confirm", map[string]string{"who": "林工"}, nil); code != http.StatusOK {
		t.Fatal(code)
	}
	hears("the release stays", func(s console.Software) bool {
		return s.Outcome.Outcome == "confirmed" && s.Outcome.Number == 2 && s.Wanted.State == "done"
	})

	if code := ask("/update/file?who=tester", release.New(1).File(3, "3.0"), nil); code != http.StatusOK {
		t.Fatal(code)
	}
	if err := (&ReleaseActivateCmd{orderBy: by, Number: 3, Until: "1h"}).Run(&Globals{Lang: "en", Out: io.Discard}); err != nil {
		t.Fatal(err)
	}
	hears("the next one is on trial", func(s console.Software) bool { return s.Runs.Number == 3 && s.Phase == "trial" })
	if code := ask("/update/back", map[string]string{"who": "林工", "reason": "雨量计不读数"}, nil); code != http.StatusOK {
		t.Fatal(code)
	}
	s = hears("it went back, and why", func(s console.Software) bool {
		return s.Runs.Number == 2 && s.Outcome.Outcome == "back" && s.Outcome.Number == 3
	})
	if !strings.Contains(s.Outcome.Text.ZH, "雨量计不读数") || !strings.Contains(s.Outcome.Text.EN, "雨量计不读数") || s.Outcome.Text.ZH == s.Outcome.Text.EN {
		t.Errorf("%+v", s.Outcome)
	}
}
