//go:build peers

package speech

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestSoxAgrees has sox, another hand, read our files and write some for us.
func TestSoxAgrees(t *testing.T) {
	sox, err := exec.LookPath("sox")
	if err != nil {
		t.Skip("sox is not installed")
	}
	dir := t.TempDir()
	ours, theirs := filepath.Join(dir, "ours.wav"), filepath.Join(dir, "theirs.wav")
	p := hum(44100, 500*time.Millisecond, -6)
	var b bytes.Buffer
	if err := WriteWAV(&b, p); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ours, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	// Two channels make sox write a WAVE of another shape.
	for _, args := range [][]string{{"-D", ours, theirs}, {"-D", ours, "-c", "2", theirs}, {"-D", ours, "--comment", "hello there", theirs}} {
		if out, err := exec.Command(sox, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		f, err := os.Open(theirs)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadWAV(f)
		f.Close()
		if err != nil || got.Rate != p.Rate || !slices.Equal(got.Samples, p.Samples) {
			t.Errorf("%v: %v, %d samples at %d Hz", args, err, len(got.Samples), got.Rate)
		}
	}
}

// Sox reads our four bits as we do, and we read its.
func TestSoxAgreesOnFourBits(t *testing.T) {
	sox, err := exec.LookPath("sox")
	if err != nil {
		t.Skip("sox is not installed")
	}
	dir := t.TempDir()
	p := hum(16000, 700*time.Millisecond, -6)
	var plain, four bytes.Buffer
	if err := errors.Join(WriteWAV(&plain, p), WriteADPCM(&four, p)); err != nil {
		t.Fatal(err)
	}
	file := func(name string, b []byte) string {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return f
	}
	run := func(args ...string) PCM {
		t.Helper()
		out := filepath.Join(dir, "out.wav")
		if said, err := exec.Command(sox, append(append([]string{"-D"}, args...), out)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadWAV(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return got
	}
	mine, err := ReadWAV(bytes.NewReader(four.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if theirs := run(file("four.wav", four.Bytes()), "-e", "signed", "-b", "16"); len(theirs.Samples) < len(mine.Samples) || !slices.Equal(theirs.Samples[:len(mine.Samples)], mine.Samples) { // it passes over the fact chunk
		t.Errorf("sox reads %d samples otherwise than we read %d", len(theirs.Samples), len(mine.Samples))
	}
	if got := run(file("plain.wav", plain.Bytes()), "-e", "ima-adpcm"); len(got.Samples) < len(p.Samples) || noise(p.Samples, got.Samples[:len(p.Samples)]) < 25 {
		t.Errorf("of sox's four bits we read %d samples, %.1f dB", len(got.Samples), noise(p.Samples, got.Samples[:len(p.Samples)]))
	}
}
