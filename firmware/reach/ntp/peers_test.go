//go:build peers

package ntp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/hwtest/impair"
)

// chrony starts the real server on loopback, with its own clock and without touching the machine's. Its package is not
// among those that the tests install: it would take the place of the machine's own time service.
func chrony(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("chronyd"); err != nil {
		t.Skip("chronyd is not on this machine")
	}
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := c.LocalAddr().String()
	_, port, _ := net.SplitHostPort(addr)
	c.Close()
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	text := fmt.Sprintf("port %s\nbindaddress 127.0.0.1\nallow 127.0.0.1\nlocal stratum 8\ncmdport 0\nuser root\nbindcmdaddress /\npidfile %s\n", port, filepath.Join(dir, "pid"))
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("chronyd", "-x", "-d", "-f", conf)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return addr
}

// asked asks until there is an answer, and gives how far it is from this machine's own clock.
func asked(t *testing.T, server string, within time.Duration) (Answer, time.Duration) {
	t.Helper()
	began := time.Now()
	var got *Answer
	var off time.Duration
	var why phrase.Message
	c := New(Opts{
		Servers: []string{server}, First: 200 * time.Millisecond, Every: time.Second, Within: within,
		Mono:  func() time.Duration { return time.Since(began) },
		Tell:  func(a Answer) { got, off = &a, a.UTC.Sub(began.Add(a.At).Round(0)) },
		Fault: func(_ string, m phrase.Message) { why = m },
		Pause: func(ctx context.Context, d time.Duration) error {
			if got != nil || time.Since(began) > 30*time.Second {
				return errOver
			}
			time.Sleep(d)
			return nil
		},
	})
	c.Run(context.Background())
	if got == nil {
		t.Fatalf("no answer: %s", why.In(phrase.EN))
	}
	return *got, off
}

func TestChronyIsUnderstood(t *testing.T) {
	a, off := asked(t, chrony(t), 2*time.Second)
	if off.Abs() > a.Bound || a.Bound > 2*time.Second {
		t.Errorf("off by %v, bound %v", off, a.Bound)
	}
}

// Over 64 kbit/s, 600 ms and 5 % each way the bound tells what the way hides.
func TestChronyBehindTheWorstLinkIsUnderstoodWithItsBound(t *testing.T) {
	up, down := impair.Worst, impair.Worst
	down.Delay = 200 * time.Millisecond // one way is slower than the other: nobody can see that
	l := impair.New(up, down, 3)
	defer l.Close()
	at, err := l.UDP(chrony(t))
	if err != nil {
		t.Fatal(err)
	}
	a, off := asked(t, at, 5*time.Second)
	if off.Abs() > a.Bound || off.Abs() < 150*time.Millisecond || a.Bound < 400*time.Millisecond {
		t.Errorf("off by %v, bound %v", off, a.Bound)
	}
}
