package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNobodyWaitsForWhoReadsTheLog(t *testing.T) {
	r, w := io.Pipe()
	s := newSpool(w)
	log := slog.New(slog.NewTextHandler(s, nil))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := range 3 * spoolLines {
			log.Warn("alarm", "n", i)
		}
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("whoever logs hangs with the log")
	}
	// Read again, it says what is missing.
	all := make(chan string)
	go func() { b, _ := io.ReadAll(r); all <- string(b) }()
	s.Close(20 * time.Second)
	w.Close()
	if got := <-all; !strings.Contains(got, "n=0\n") || !strings.Contains(got, "log lines lost") {
		t.Errorf("%d bytes: %.200s", len(got), got)
	}
	log.Warn("after the end")
}

func TestAnEndlessLineIsCut(t *testing.T) {
	var b bytes.Buffer
	s := newSpool(&b)
	s.Write([]byte(strings.Repeat("x", 10*spoolLine) + "\n"))
	fmt.Fprintln(s, "next")
	s.Close(20 * time.Second)
	if l := strings.Split(b.String(), "\n"); len(l) != 3 || len(l[0]) != spoolLine-1 || l[1] != "next" {
		t.Errorf("%d lines", len(l))
	}
}

// Go ends a process that writes to a broken pipe on standard error.
func TestAReaderOfTheLogThatDiesTakesNobodyWithIt(t *testing.T) {
	if os.Getenv("TOCSIN_TEST_LOG") != "" {
		s := logTo(os.Stderr)
		time.Sleep(200 * time.Millisecond)
		for range 10 {
			fmt.Fprintln(s, "a line for nobody")
			time.Sleep(20 * time.Millisecond)
		}
		s.Close(time.Second)
		os.Exit(7)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), "TOCSIN_TEST_LOG=1")
	c.Stderr = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.Close()
	c.Wait()
	if ws := c.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() || ws.ExitStatus() != 7 {
		t.Errorf("ended by %v", c.ProcessState)
	}
}
