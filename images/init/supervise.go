package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// boxProgram is edged.
const boxProgram = "/usr/bin/edged"

// How edged is looked after.
const (
	boxDog      = 15 * time.Second       // edged's own proof of life comes at least so often
	startGrace  = 60 * time.Second       // and after a start, first within this
	restartSoon = 100 * time.Millisecond // between an end and the next start
	restartSlow = 5 * time.Second        // when it ends again and again
	endGrace    = 10 * time.Second       // to end by itself
	boardLived  = 30 * time.Minute       // a board that runs for less is not started anew for it
)

// supervisor starts edged, again and again for ever.
type supervisor struct {
	b      *board
	budget *budget

	mu      sync.Mutex
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has ended
	begun   time.Time
	fed     time.Time // the last proof of life; zero before the first
	proof   time.Time // the same of whichever process gave one, or when all began
	ready   bool
	worked  bool // it has proved itself once in this boot
	status  string
	starts  int
	lastEnd string
	ending  bool
}

func newSupervisor(b *board) *supervisor {
	return &supervisor{b: b, proof: time.Now(), budget: &budget{most: 6, per: 10 * time.Minute}}
}

// budget bounds how often something may be started in a time.
type budget struct {
	most int
	per  time.Duration
	when []time.Time
}

// spend notes a start and tells whether it was within the budget.
func (u *budget) spend(now time.Time) bool {
	kept := u.when[:0]
	for _, t := range u.when {
		if now.Sub(t) < u.per {
			kept = append(kept, t)
		}
	}
	u.when = append(kept, now)
	return len(u.when) <= u.most
}

func (s *supervisor) run(ctx context.Context) {
	notify, err := listenNotify()
	if err != nil {
		s.b.say("notify: %v", err)
	} else {
		s.b.start("notify", func() { notify.run(ctx, s) })
	}
	var refused refusals // of its site's file
	unready := 0         // how often in a row it did not even stand watch
	for ctx.Err() == nil {
		within := s.budget.spend(time.Now())
		err := s.once()
		s.mu.Lock()
		ending, ready := s.ending, s.ready
		s.lastEnd = fmt.Sprint(err)
		s.mu.Unlock()
		if ending {
			return
		}
		s.b.say("edged ended: %v", err)
		if refused.twice(err, time.Now()) {
			if s.b.onTrial() { // the file is good: it is the release that cannot run it
				s.b.restart("edged cannot run the site's file, on trial")
				return
			}
			s.b.attempt("site", func() error { return s.b.setSiteAside(imageSite, siteFile) })
		}
		if unready++; ready {
			unready = 0
		}
		if s.b.onTrial() && unready >= trialStarts {
			s.b.restart("edged never stood watch, on trial")
			return
		}
		if within {
			time.Sleep(restartSoon)
			continue
		}
		// Again and again: a trial is given up by starting the board anew, which is one try
		// less. So is one that has long run, since that may be what it needs; one that has
		// just done so starts edged more slowly, for ever.
		if s.b.onTrial() {
			s.b.restart("edged does not stay up, on trial")
			return
		}
		if up, err := uptime(); err == nil && up > boardLived {
			s.b.restart("edged does not stay up")
			return
		}
		if !s.hasWorked() && s.b.startFailed("edged ends again and again and has never proved itself") {
			s.b.restart("the other slot's release takes over")
			return
		}
		time.Sleep(restartSlow)
	}
}

// trialStarts is how often a release on trial may start without standing watch: each may
// take startGrace, in which nobody is warned.
const trialStarts = 2

// command is how edged is started. The site's file is the board's own once it has one.
func command() []string {
	return []string{boxProgram, "run", "-c", siteFile, "--data", boxDir + "/data", "--socket", "/run/tocsin/edged.sock"}
}

func (s *supervisor) once() error {
	a := command()
	s.b.attempt("site", func() error { return seedSite(imageSite, siteFile) })
	if err := os.MkdirAll("/run/tocsin", 0o750); err != nil {
		return err
	}
	if err := os.Chown("/run/tocsin", boxUser, boxUser); err != nil {
		return err
	}
	c := exec.Command(a[0], a[1:]...)
	out := &lineWriter{r: s.b.log, who: "edged"}
	c.Stdout, c.Stderr = out, out
	c.Dir = "/"
	c.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + boxDir, "NOTIFY_SOCKET=" + notifyPath, fmt.Sprintf("WATCHDOG_USEC=%d", boxDog.Microseconds()),
		"GOTRACEBACK=single", "TOCSIN_INIT=" + controlPath, "TOCSIN_SLOT=" + s.b.slots.Slot,
		"TOCSIN_MEMORY=" + memoryList(dataDir), "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"}
	c.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:     true,
		Credential:  &syscall.Credential{Uid: boxUser, Gid: boxUser},
		AmbientCaps: []uintptr{unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_TIME},
	}
	if g, err := os.Open(boxGroup); err == nil {
		defer g.Close()
		c.SysProcAttr.UseCgroupFD, c.SysProcAttr.CgroupFD = true, int(g.Fd())
	}
	done := make(chan struct{})
	s.mu.Lock()
	if s.ending {
		s.mu.Unlock()
		return nil
	}
	err := c.Start()
	if err != nil && c.SysProcAttr.UseCgroupFD { // better without its group than not at all
		s.b.say("groups: edged starts without its own: %v", err)
		c = again(c)
		err = c.Start()
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	s.cmd, s.done, s.begun, s.fed, s.ready = c, done, time.Now(), time.Time{}, false
	s.starts++
	s.mu.Unlock()
	prefer(c.Process.Pid)
	s.b.vital("edged's watchdog", func() { s.watch(c, done) })
	err = c.Wait()
	close(done)
	s.b.attempt("groups", clearBoxGroup)
	return err
}

// again is a command that did not start, to be started outside of its group.
func again(c *exec.Cmd) *exec.Cmd {
	a := *c.SysProcAttr
	a.UseCgroupFD, a.CgroupFD = false, 0
	return &exec.Cmd{Path: c.Path, Args: c.Args, Env: c.Env, Dir: c.Dir, Stdout: c.Stdout, Stderr: c.Stderr, SysProcAttr: &a}
}

// prefer puts edged before everything else on the board.
func prefer(pid int) {
	_ = unix.Setpriority(unix.PRIO_PROCESS, pid, -10)
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("-900"), 0)
}

// watch ends an edged that has stopped proving that it is alive: first so that it says
// where it hangs, then for good.
func (s *supervisor) watch(c *exec.Cmd, done chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-t.C:
		}
		if s.alive(time.Now()) {
			continue
		}
		s.b.say("edged has not proved that it is alive for %s: ending it", boxDog)
		_ = c.Process.Signal(unix.SIGABRT)
		select {
		case <-done:
			return
		case <-time.After(2 * time.Second):
		}
		_ = unix.Kill(-c.Process.Pid, unix.SIGKILL)
		return
	}
}

// proved gives when edged last proved itself, whichever process it was. It is what the
// board's watchdog hangs on.
func (s *supervisor) proved() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proof
}

// alive tells whether the edged that runs proved itself in time.
func (s *supervisor) alive(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fed.IsZero() {
		return now.Sub(s.begun) < startGrace
	}
	return now.Sub(s.fed) < boxDog
}

func (s *supervisor) hasWorked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worked
}

func (s *supervisor) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

// told takes a notification of edged's (sd_notify(3)).
func (s *supervisor) told(pid int, msg string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil || s.cmd.Process.Pid != pid {
		return
	}
	for l := range strings.Lines(msg) {
		k, v, _ := strings.Cut(strings.TrimSpace(l), "=")
		switch k {
		case "READY":
			if !s.ready {
				s.ready = true
				up, _ := uptime()
				word := "armed"
				if strings.HasPrefix(s.status, "not armed") {
					word = "started, " + s.status + ","
				}
				s.b.log.line("init", fmt.Sprintf("%s %.2f s after the kernel's start", word, up.Seconds()))
			}
			s.proves()
		case "WATCHDOG":
			if v == "trigger" { // it says itself that what warns hangs
				s.fed = s.begun.Add(-boxDog)
				continue
			}
			s.proves()
		case "STATUS":
			s.status = clean(v)
		}
	}
}

// is tells whether a process is the edged that runs.
func (s *supervisor) is(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pid <= 0 || s.cmd == nil || s.cmd.Process.Pid != pid {
		return false
	}
	select {
	case <-s.done:
		return false // its number may be another's by now
	default:
		return true
	}
}

// proves notes a proof of life; the first of a boot is what makes its start one that worked.
func (s *supervisor) proves() {
	s.fed = time.Now()
	s.proof = s.fed
	if !s.worked {
		s.worked = true
		s.b.beside("starts", s.b.startWorked)
	}
}

// end asks edged to end, and waits for it within bounds.
func (s *supervisor) end() {
	s.mu.Lock()
	s.ending = true
	c, done := s.cmd, s.done
	s.mu.Unlock()
	if c == nil {
		return
	}
	_ = c.Process.Signal(unix.SIGTERM)
	select {
	case <-done:
	case <-time.After(endGrace):
		_ = unix.Kill(-c.Process.Pid, unix.SIGKILL)
	}
}

func uptime() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return time.Duration(t.Nano()), err
}
