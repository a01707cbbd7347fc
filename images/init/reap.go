package main

import (
	"context"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// reap waits for the dead whose parents are gone, and for whoever asks for a restart by a
// signal. Processes that init started itself are waited for where they were started, at
// once: only who is still there at the second look is nobody's.
func (b *board) reap(ctx context.Context) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPWR)
	t := time.NewTicker(10 * time.Second)
	defer t.Stop()
	var before map[int]bool
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-term:
			b.restart("asked by " + s.String())
		case <-t.C:
			now := map[int]bool{}
			for _, pid := range dead("/proc") {
				if before[pid] {
					_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
				}
				now[pid] = true
			}
			before = now
		}
	}
}

// dead lists the processes that have ended and whose parent is init.
func dead(proc string) (pids []int) {
	all, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	for _, d := range all {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		t, err := os.ReadFile(proc + "/" + d.Name() + "/stat")
		if err != nil {
			continue
		}
		// proc_pid_stat(5): pid (name) state ppid …; a name may hold anything, also ")".
		_, after, ok := cutLast(string(t), ") ")
		if f := strings.Fields(after); ok && len(f) > 1 && f[0] == "Z" && f[1] == "1" {
			pids = append(pids, pid)
		}
	}
	return pids
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
