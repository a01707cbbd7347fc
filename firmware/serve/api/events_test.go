package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

type heard struct{ id, kind, data string }

// follow reads events of a running server until the test ends.
func follow(t *testing.T, addr, lastID string) <-chan heard {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+addr+"/api/v1/events", nil)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	w, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if w.StatusCode != 200 || w.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(w.Status, w.Header)
	}
	out := make(chan heard, 64)
	go func() {
		defer w.Body.Close()
		defer close(out)
		var h heard
		s := bufio.NewScanner(w.Body)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			k, v, _ := strings.Cut(s.Text(), ": ")
			switch k {
			case "id":
				h.id = v
			case "event":
				h.kind = v
			case "data":
				h.data = v
			case "":
				if h.kind != "" {
					select {
					case out <- h:
					case <-ctx.Done():
						return
					}
				}
				h = heard{}
			}
		}
	}()
	return out
}

func until(t *testing.T, in <-chan heard, kind string) heard {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case h, ok := <-in:
			if !ok {
				t.Fatal("the stream ended before ", kind)
			}
			if h.kind == kind {
				return h
			}
		case <-late:
			t.Fatal("no event ", kind)
		}
	}
}

func TestWhoListensHasTheWholeFirstAndThenWhatChanges(t *testing.T) {
	box := apitest.New(apitest.Calm)
	r := start(t, box, api.Opts{})
	in := follow(t, r.LANAddr(), "")
	for _, kind := range []string{"status", "readiness", "reading", "alarms", "soundings", "faults"} {
		h := until(t, in, kind)
		if !json.Valid([]byte(h.data)) {
			t.Errorf("%s is no JSON: %s", kind, h.data)
		}
	}
	box.Edit(func(s *api.Status) { s.Level = "evacuate" })
	if h := until(t, in, "status"); !strings.Contains(h.data, `"level":"evacuate"`) {
		t.Errorf("the change was not told: %s", h.data)
	}
	late := follow(t, r.LANAddr(), "")
	var all []api.Reading
	if err := json.Unmarshal([]byte(until(t, late, "reading").data), &all); err != nil || len(all) != len(box.Readings()) {
		t.Errorf("who comes later has %d readings, %v", len(all), err)
	}
}

func TestARecordIsToldToAllAndAgainToWhoComesBack(t *testing.T) {
	box := apitest.New(apitest.Calm)
	r := start(t, box, api.Opts{})
	a, b := follow(t, r.LANAddr(), ""), follow(t, r.LANAddr(), "")
	until(t, a, "status")
	until(t, b, "status")
	for _, seq := range []int64{41, 42} {
		box.Committed <- api.Record{Seq: seq, Kind: "test", Text: api.Text{ZH: "试", EN: "test"}}
	}
	for _, in := range []<-chan heard{a, b} {
		for _, id := range []string{"41", "42"} {
			if h := until(t, in, "record"); h.id != id {
				t.Errorf("record %s instead of %s", h.id, id)
			}
		}
	}
	if h := until(t, follow(t, r.LANAddr(), "41"), "record"); h.id != "42" {
		t.Errorf("who comes back after 41 has %s", h.id)
	}
	if h := until(t, follow(t, r.LANAddr(), "7"), "gap"); h.data != "{}" {
		t.Errorf("who missed what is no more kept is told %s", h.data)
	}
}

// TestTwoHundredPhonesListenAndOneMachineMayNotTakeAllPlaces: phones have addresses of
// their own, here of the loopback's.
func TestTwoHundredPhonesListenAndOneMachineMayNotTakeAllPlaces(t *testing.T) {
	r := start(t, apitest.New(apitest.Calm), api.Opts{})
	dial := func(from net.IP) (net.Conn, string) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: 5 * time.Second}
		c, err := d.Dial("tcp", r.LANAddr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Write([]byte("GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			return c, err.Error()
		}
		return c, line
	}
	for i := range 200 {
		if _, got := dial(net.IPv4(127, 0, 1, byte(i+1))); !strings.Contains(got, "200") {
			t.Fatalf("phone %d: %s", i, got)
		}
	}
	var last string
	for range 13 {
		_, last = dial(net.IPv4(127, 0, 2, 1))
	}
	if !strings.Contains(last, "503") {
		t.Errorf("the thirteenth stream of one address: %s", last)
	}
}

func TestASlowReaderSkipsAndHoldsNobodyUp(t *testing.T) {
	box := apitest.New(apitest.Calm)
	r := start(t, box, api.Opts{})
	c, err := net.Dial("tcp", r.LANAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*net.TCPConn).SetReadBuffer(1024)
	c.Write([]byte("GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")) // and never reads
	in := follow(t, r.LANAddr(), "")
	until(t, in, "status")
	long := strings.Repeat("x", 32<<10)
	for i := range 300 {
		select {
		case box.Committed <- api.Record{Seq: int64(100 + i), Kind: "test", Text: api.Text{EN: long}}:
		case <-time.After(5 * time.Second):
			t.Fatalf("record %d was held up by a reader that does not read", i)
		}
		until(t, in, "record")
	}
}
