package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/hwtest/built"
)

// childOf finds the process of a command that a process has started.
func childOf(parent int, command string) (pid int) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, p := range all {
		b, err := os.ReadFile(p)
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(f) < 2 || f[1] != strconv.Itoa(parent) || f[0] == "Z" {
			continue
		}
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", n)); strings.TrimRight(string(line), "\x00") == command {
			return n
		}
	}
	return 0
}

func TestTheVideoProcessHasOnlyWhatIsItsAndIsStartedAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program")
	}
	dir, err := os.MkdirTemp("", "box") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self := filepath.Join(dir, "edged")
	built.Into(t, dir, "edged", "edged-desk", "edged-video")
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write("drone.key", "a-key-of-the-drone\n")
	site := write("site.yaml", `version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, datum: 1985, languages: [cmn]}
plan: flash-flood-village
page: {listen: "off"}
video:
  listen: "127.0.0.1:0"
  streams:
    drone: {key: drone.key}
`)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	box := exec.Command(self, "run", "-c", site, "--data", filepath.Join(dir, "data"), "--socket", filepath.Join(dir, "s"))
	box.Env = append(os.Environ(), "SECRET_OF_THE_BOX=1")
	box.Stdout, box.Stderr = log, log
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- box.Wait() }()
	t.Cleanup(func() {
		_ = box.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("%s", b)
		}
	})
	find := func(other int) int {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if pid := childOf(box.Process.Pid, filepath.Join(dir, "edged-video")); pid != 0 && pid != other {
				// Until it has closed what it inherited it is not what it will be.
				if _, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/4", pid)); err == nil || len(listeners(pid)) > 0 {
					return pid
				}
			}
		}
		t.Fatal("there is no video process")
		return 0
	}
	pid := find(0)
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(env, []byte("SECRET_OF_THE_BOX")) || bytes.Contains(env, []byte("a-key-of")) {
		t.Errorf("its environment: %q", env)
	}
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if bytes.Contains(line, []byte("a-key-of")) {
		t.Errorf("everybody on the board can read its key: %q", line)
	}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		if err == nil && strings.HasPrefix(to, dir) {
			t.Errorf("it holds %s of the box", to)
		}
	}
	// Whoever kills it gets another, and the box goes on.
	for range 3 {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		pid = find(pid)
	}
	select {
	case err := <-ended:
		ended <- err
		t.Fatalf("the box ended with its child: %v", err)
	default:
	}
	if out, err := exec.Command(self, "status", "--socket", filepath.Join(dir, "s")).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	// It dies with its box.
	_ = box.Process.Kill()
	err = <-ended
	ended <- err
	for end := time.Now().Add(time.Minute); syscall.Kill(pid, 0) == nil; time.Sleep(20 * time.Millisecond) {
		if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); bytes.Contains(b, []byte(") Z ")) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the child outlives its box")
		}
	}
}

// listeners are the sockets that a process holds.
func listeners(pid int) (out []string) {
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:") {
			out = append(out, to)
		}
	}
	return out
}
