package serial

import (
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/drivers/drivertest"
)

func openEar(t *testing.T, path string) *ear {
	t.Helper()
	ctl, err := openControl(path)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := prepare(path, ctl, Opts{Baud: 9600}, format{8, 'N', 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close(); ctl.close() })
	return tty.(*ear)
}

// ready tells whether an ear's epoll would wake whoever polls it.
func (e *ear) ready(t *testing.T) bool {
	t.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(e.ep), Events: unix.POLLIN}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

func TestAnEarWakesOnlyForWhoReads(t *testing.T) {
	y := drivertest.OpenPTY(t)
	e := openEar(t, y.Path)
	b := make([]byte, 16)
	for range 3 {
		y.Far.Write([]byte("abc"))
		for end := time.Now().Add(10 * time.Second); (control{e.fd}).waiting() < 3; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("what was written does not come")
			}
		}
		if e.ready(t) {
			t.Fatal("bytes that nobody reads would wake the program")
		}
		if n, err := e.Read(b); err != nil || string(b[:n]) != "abc" {
			t.Fatalf("read %q, %v", b[:n], err)
		}
		// One wake, and then none for what follows it.
		woken := make(chan error, 1)
		go func() { woken <- e.wait(time.Now().Add(10 * time.Second)) }()
		time.Sleep(20 * time.Millisecond)
		y.Far.Write([]byte("d"))
		if err := <-woken; err != nil {
			t.Fatal(err)
		}
		if n, err := e.Read(b); err != nil || string(b[:n]) != "d" {
			t.Fatalf("read %q, %v", b[:n], err)
		}
	}
}

func TestAnEarTellsSilenceFromAHangUp(t *testing.T) {
	y := drivertest.OpenPTY(t)
	e := openEar(t, y.Path)
	start := time.Now()
	if n, err := e.Read(make([]byte, 1)); n != 0 || err != io.EOF || time.Since(start) < readTimeout {
		t.Errorf("silence: %d, %v after %v", n, err, time.Since(start))
	}
	// A port that is pulled out while somebody waits ends the wait, long before its time, and the read after it
	// ends at once: it has no need to wait.
	waited := make(chan error, 1)
	go func() { waited <- e.wait(time.Now().Add(time.Hour)) }()
	time.Sleep(20 * time.Millisecond) // it waits by now, mostly; before that it would find the port gone
	y.Pull()
	select {
	case err := <-waited:
		if err != nil {
			t.Errorf("a pulled port: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("a pulled port wakes nobody")
	}
	start = time.Now()
	for range 1000 { // a hundred seconds, if each waited
		if n, err := e.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Fatalf("a pulled port: %d, %v", n, err)
		}
	}
	if d := time.Since(start); d > 50*time.Second {
		t.Errorf("reads of a pulled port took %v", d)
	}
}
