package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/hwtest/built"
	"tocsin/hwtest/platform"
)

// valley is a film of fifty pictures with a delimiter before each.
func valley(t *testing.T) (out [][][]byte) {
	b, err := os.ReadFile("../../firmware/video/gb28181/testdata/clip.h264")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range bytes.Split(bytes.ReplaceAll(b, []byte{0, 0, 0, 1}, []byte{0, 0, 1}), []byte{0, 0, 1}) {
		switch {
		case len(n) == 0:
		case n[0]&31 == 9:
			out = append(out, nil)
		default:
			out[len(out)-1] = append(out[len(out)-1], n)
		}
	}
	return out
}

// TestADronesPictureGoesThroughTheBoxToAPlatform runs the real programs by a site's file: a
// drone signs in at the box, the box at a platform, which is shown the drone's picture and
// what was recorded of it.
func TestADronesPictureGoesThroughTheBoxToAPlatform(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the programs")
	}
	const county, box, drone, channel, here, upper = "44188200002000000001", "44188200001180000017", "44188200001180000031", "44188200001310000171", "44188200001320000031", "44188210002000000001"
	dir, err := os.MkdirTemp("", "box") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self := filepath.Join(dir, "edged")
	built.Into(t, dir, "edged", "edged-desk", "edged-video")
	p, err := platform.Start("127.0.0.1", platform.Ways{ID: county, Realm: county[:10], Passwords: map[string]string{box: "Xq-71-of-the-county"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	write := func(name, text string) string {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	write("county.pw", "Xq-71-of-the-county\n")
	write("drone.pw", "Dr-0ne\n")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	site := write("site.yaml", fmt.Sprintf(`version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, datum: 1985, languages: [cmn]}
plan: flash-flood-village
page: {listen: "off"}
video:
  listen: "127.0.0.1:0"
  streams:
    drone: {name: {zh: 无人机, en: drone}, device: "%s", password: drone.pw}
  record: {quota: 256 MiB, clips: 64 MiB}
  upper: {id: "%s", listen: "%s"}
  platforms:
    county: {name: {zh: 县平台, en: the county}, id: "%s", address: "127.0.0.1:%d", device: "%s", password: county.pw, channels: {drone: "%s"}, records: true}
`, drone, upper, at, county, p.Port(), box, channel))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(self, "run", "-c", site, "--data", filepath.Join(dir, "data"), "--socket", filepath.Join(dir, "s"))
	run.Stdout, run.Stderr = log, log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGTERM)
		_ = run.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("%s", b)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := p.Await(ctx, "signed in", 1); err != nil {
		t.Fatal(err)
	}
	if pid := childOf(run.Process.Pid, "edged-video"); pid != 0 {
		for _, of := range []string{"environ", "cmdline"} {
			if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, of)); bytes.Contains(b, []byte("Xq-71")) {
				t.Errorf("everybody on the board can read the password: %q", b)
			}
		}
	}
	d, err := platform.Launch(ctx, platform.Flight{Device: drone, Channel: here, Upper: upper, At: netip.MustParseAddrPort(at), SIP: "UDP", Pictures: valley(t), Every: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	if code, err := d.Register("Dr-0ne", 3600); code != 200 {
		t.Fatal(code, err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var n net.Dialer
		return n.DialContext(ctx, "unix", filepath.Join(dir, "s"))
	}}}
	type told struct {
		Streams []struct {
			From, Codec string
			Record      struct{ Bytes int64 }
		}
		Platforms []struct {
			Name   string
			Online bool
			Text   struct{ ZH, EN string } `json:"phase_text"`
			Title  struct{ ZH, EN string }
		}
	}
	until := func(what string, is func(told) bool) {
		t.Helper()
		var s told
		for ctx.Err() == nil {
			if res, err := client.Get("http://box/api/v1/video"); err == nil {
				s = told{}
				_ = json.NewDecoder(res.Body).Decode(&s)
				res.Body.Close()
				if is(s) {
					return
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("never %s: %+v", what, s)
	}
	until("live, recorded and signed in", func(s told) bool {
		return len(s.Streams) == 1 && len(s.Platforms) == 1 && strings.HasPrefix(s.Streams[0].From, "gb28181") && s.Streams[0].Codec == "H.264" && s.Streams[0].Record.Bytes > 100_000 &&
			s.Platforms[0].Name == "county" && s.Platforms[0].Online && s.Platforms[0].Title.EN == "the county" && s.Platforms[0].Text.EN == "signed in"
	})
	for i, way := range []string{"udp", "passive"} {
		c, err := p.Invite(ctx, platform.Wish{Device: box, Channel: channel, Way: way, SSRC: fmt.Sprintf("020000432%d", i)})
		if err != nil {
			t.Fatal(way, err)
		}
		m, err := c.AwaitUnits(ctx, 40)
		if err != nil || len(m.Faults) > 0 {
			t.Fatalf("%s: %v %q", way, err, m.Faults)
		}
		if code, err := c.Bye(ctx); code != 200 {
			t.Errorf("BYE: %d %v", code, err)
		}
	}
	now, form := time.Now().In(time.FixedZone("CST", 8*3600)), "2006-01-02T15:04:05"
	out, err := p.Ask(ctx, box, "Query", "RecordInfo", channel, "<StartTime>"+now.Add(-time.Hour).Format(form)+"</StartTime><EndTime>"+now.Add(time.Hour).Format(form)+"</EndTime><Type>all</Type>")
	if err != nil || !strings.Contains(strings.Join(out, ""), "<SumNum>") {
		t.Errorf("records: %q %v", out, err)
	}
	// Who was shown it is in the journal.
	until("the journal has it", func(told) bool {
		b, err := exec.CommandContext(ctx, self, "journal", "--socket", filepath.Join(dir, "s")).CombinedOutput()
		return err == nil && (bytes.Contains(b, []byte("县平台")) || bytes.Contains(b, []byte("the county")))
	})
	if f := p.Faults(); len(f) > 0 {
		t.Errorf("against the standard: %q", f)
	}
}
