package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api/apitest"
	"tocsin/hwtest/line"
)

// technician has the commands that look at lines as main has them.
type technician struct {
	Globals
	Scan   ScanCmd   `cmd:""`
	Frames FramesCmd `cmd:""`
	Record RecordCmd `cmd:""`
}

// work runs one command line; what it printed is in last.
func work(t *testing.T, ctx context.Context, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := workInto(t, ctx, &out, args...)
	last[t] = out.String()
	return last[t], err
}

// workInto runs one command line that prints to out.
func workInto(t *testing.T, ctx context.Context, out io.Writer, args ...string) error {
	t.Helper()
	var c technician
	k, err := kong.New(&c, kong.Exit(func(int) { panic("exit") }))
	if err != nil {
		t.Fatal(err)
	}
	run, err := k.Parse(args)
	if err != nil {
		return err
	}
	c.Out, c.Ctx = out, ctx
	return run.Run(&c.Globals)
}

// enough is what is printed, and ends the printing with its lines.
type enough struct {
	bytes.Buffer
	lines int
	end   func()
}

func (e *enough) Write(p []byte) (int, error) {
	n, err := e.Buffer.Write(p)
	if bytes.Count(e.Bytes(), []byte("\n")) >= e.lines {
		e.end()
	}
	return n, err
}

var last = map[*testing.T]string{}

func TestAScanIsShownAsItGoes(t *testing.T) {
	box := apitest.New(apitest.Calm)
	socket, _ := startBox(t, box)
	if _, err := work(t, t.Context(), "--socket", socket, "--lang", "en", "scan", "west", "--who", "李雷", "--units", "1-10,40"); err != nil {
		t.Fatal(err)
	}
	out := last[t]
	for _, want := range []string{"4800 8E1, unit 7: answers", "may be generic-radar-level-rs485", "3.25", "float32 CDAB", "moves", "1 new units", "it says of itself: Bench · G-7 · 1.02"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if acts := box.Acts(); len(acts) != 1 || acts[0].What != "scan" || acts[0].ID != "west" || acts[0].Who.Name != "李雷" {
		t.Errorf("%+v", acts)
	}
	// The line's port stands for the line.
	if _, err := work(t, t.Context(), "--socket", socket, "scan", "/dev/ttyUSB0", "--json"); err != nil || strings.Count(last[t], "\n") != 3 {
		t.Errorf("%v\n%s", err, last[t])
	}
	if acts := box.Acts(); len(acts) != 2 || acts[1].ID != "west" {
		t.Errorf("%+v", acts)
	}
	for _, bad := range [][]string{{"--units", "0-3"}, {"--units", "x"}, {"--force", "--who", ""}} {
		if _, err := work(t, t.Context(), append([]string{"--socket", socket, "scan", "west"}, bad...)...); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestFramesAreShownWithTheirMeaning(t *testing.T) {
	socket, _ := startBox(t, apitest.New(apitest.Calm))
	if _, err := work(t, t.Context(), "--socket", socket, "--lang", "zh", "frames", "west"); err != nil {
		t.Fatal(err)
	}
	if out := last[t]; !strings.Contains(out, "读保持寄存器") || !strings.Contains(out, "river.level=4.75") || !strings.Contains(out, "02 03 00 00 00 03") {
		t.Errorf("%s", out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := enough{lines: 2, end: cancel}
	if err := workInto(t, ctx, &out, "--socket", socket, "frames", "west", "--follow", "--json"); err != nil || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%v %s", err, out.String())
	}
}

// TestAPortThatNoBoxHoldsIsScannedAndBecomesAProfile needs no box at all.
func TestAPortThatNoBoxHoldsIsScannedAndBecomesAProfile(t *testing.T) {
	l, err := line.New(line.Config{Baud: 4800, CheckBaud: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bits := math.Float32bits(3.25)
	regs := []uint16{9, 0, uint16(bits), uint16(bits >> 16)}
	m := line.Map{Holding: func(a uint16) (uint16, line.Exception) {
		if int(a) >= len(regs) {
			return 0, line.IllegalAddress
		}
		return regs[a], 0
	}}
	l.Attach(7, line.UnitFunc(func(pdu []byte, _ time.Time) ([]byte, line.Exception) { return m.Answer(pdu) }))
	dir := t.TempDir()
	site, none := filepath.Join(dir, "site.yaml"), filepath.Join(dir, "no.sock")
	base := []string{"--socket", none, "--lang", "en"}
	if _, err := work(t, t.Context(), append(base, "scan", l.Path(), "--baud", "9600,4800", "--format", "8N1", "--units", "6-7", "--wait", "1s", "--first")...); err != nil {
		t.Fatal(err)
	}
	if out := last[t]; !strings.Contains(out, "4800 8N1, unit 7: answers") || !strings.Contains(out, "float32 CDAB") {
		t.Fatalf("%s", out)
	}
	record := append(base, "record", l.Path(), "7", "--profile", "my-gauge", "--baud", "4800", "-c", site, "--write", "--pick")
	if _, err := work(t, t.Context(), append(record, "level=holding 0x0002 float32 ABCD m 0..20")...); err == nil || !strings.Contains(phrase.In(err, phrase.EN), "level") {
		t.Errorf("a wrong order: %v", err)
	}
	if _, err := work(t, t.Context(), append(record, "level=holding 0x0002 float32 CDAB m 0..20")...); err != nil {
		t.Fatal(phrase.In(err, phrase.EN))
	}
	b, err := os.ReadFile(filepath.Join(dir, "profiles", "my-gauge.yaml"))
	if err != nil || !strings.Contains(string(b), "gives: {level: 3.25}") || !strings.Contains(last[t], "level = 3.25 m") {
		t.Errorf("%v\n%s\n%s", err, b, last[t])
	}
	if _, err := work(t, t.Context(), append(record, "level=holding 0x0002 float32 CDAB m")...); err == nil {
		t.Error("a profile that was there is no more")
	}
	if _, err := work(t, t.Context(), append(base, "scan", filepath.Join(dir, "ttyNONE"))...); err == nil {
		t.Errorf("a port that is not there: %v", err)
	}
}

func TestARecordingIsMadeOfTheLiveBus(t *testing.T) {
	socket, _ := startBox(t, apitest.New(apitest.Calm))
	_, err := work(t, t.Context(), "--socket", socket, "--lang", "en", "record", "west", "2", "--profile", "generic-radar-level-rs485", "--for", "0")
	// The fake's frames have no good checksum: nothing is proved by them.
	if err == nil || !strings.Contains(phrase.In(err, phrase.EN), "no answer for point level") {
		t.Errorf("%v", err)
	}
}
