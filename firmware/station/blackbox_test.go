package station

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tocsin/firmware/guard/blackbox"
	"tocsin/hwtest/storm"
)

// region gives a box's region as text; "" while there is none.
func region(data string) string {
	s, err := BlackBox(data)
	if err != nil {
		return ""
	}
	return s
}

func TestAnAlarmWritesLogValuesAndFramesAtOnceAndNoSecret(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	const secret = "kx81-very-secret-word"
	w.write("data/secrets/county", secret)
	if err := os.Chmod(filepath.Join(w.data, "secrets/county"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.house.Load().log.Info("somebody logged a secret", "word", secret)
	w.crosses()
	var s string
	w.until("the alarm is in the region", func() bool {
		s = region(w.data)
		return strings.Contains(s, "event  alarm.raised gas")
	})
	for _, want := range []string{"boot ", "log    WARN alarm event=alarm.raised", "gas.ch4=30", "frame  field asked 4 ", "frame  field answer 4 ", "word=[removed]"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in the region", want)
		}
	}
	if strings.Contains(s, secret) {
		t.Error("a secret is in the region")
	}
	// What is in memory only is in the bundle all the same.
	w.house.Load().log.Info("a line that no interval has written yet")
	if s := w.house.Load().recorder.text(); !strings.Contains(s, "a line that no interval has written yet") {
		t.Error("what is in memory is not shown")
	}
	w.halt()
	if s := region(w.data); !strings.Contains(s, "event  ends") || !strings.Contains(s, "msg=stopping") && !strings.Contains(s, "INFO stopping") {
		t.Errorf("the end is not in it:\n%s", s[max(0, len(s)-2000):])
	}
	// Another run goes on behind it.
	w.start()
	w.halt()
	if n := strings.Count(region(w.data), " boot  "); n != 2 {
		t.Errorf("%d runs in the region", n)
	}
}

func TestARegionThatCannotBeWrittenIsToldAndStopsNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.write("data/blackbox", "a file where the folder should be")
	w.start()
	w.faulty("black box", []string{"黑匣子写不了"}, []string{"cannot be written"})
	w.crosses()
}

func TestWhatARunSaidWhenItDiedIsInTheBoxOfTheNext(t *testing.T) {
	t.Parallel()
	v, err := storm.Build(storm.Config{Dir: filepath.Join(t.TempDir(), "dev"), River: 3, Upstream: 3, Gas: gasCalm})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	p := startEdged(t, strings.NewReplacer("FIELD", v.Port(storm.FieldPort), "OUT", v.Port(storm.OutPort),
		"TEXT", v.Port(storm.TextPort), "GATE", v.Gateway.Addr(), "generic-relay-8in-8out", "plain-board").Replace(townSite))
	data := filepath.Join(p.dir, "data")
	armed := func() bool { return strings.Contains(p.log.String(), "msg=armed") }
	p.until("armed", armed)
	// The init ends one that hangs so: the runtime says where.
	if err := p.cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	p.again()
	p.until("the crash is joined", func() bool {
		s := region(data)
		return strings.Contains(s, "crash  SIGABRT: abort") && strings.Contains(s, "goroutine ")
	})
	v.Gas.Set(gasPrepare)
	p.until("the alarm is written", func() bool { return strings.Contains(region(data), "event  alarm.raised gas") })
	// As a power cut: nothing more is written, and all is read.
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	out, err := p.edged("blackbox", data)
	if err != nil || !strings.Contains(string(out), "event  alarm.raised gas") || !strings.Contains(string(out), "frame  field") {
		t.Errorf("%v\n%s", err, out)
	}
	p.ended <- nil
	if rs, damaged, err := blackbox.Read(filepath.Join(data, blackboxDir)); err != nil || damaged != 0 || len(rs) < 20 {
		t.Errorf("%d records, %d bytes damaged: %v", len(rs), damaged, err)
	}
}

func TestWhatTheBoardKeptIsJoinedAfterAResetAndNotAfterARestart(t *testing.T) {
	dir, err := os.MkdirTemp("", "init") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 4096)
			n, _ := c.Read(b)
			text := "init's ring"
			if strings.Contains(string(b[:n]), `"kept"`) {
				text = "Kernel panic - not syncing"
			}
			c.Write([]byte(`{"text":"` + text + `"}` + "\n"))
			c.Close()
		}
	}()
	t.Setenv("TOCSIN_INIT", filepath.Join(dir, "s"))
	h := modelHouse(t, dir)
	h.show()
	run := func() string {
		h.recorder = newRecorder(h, h.bp.Guard.BlackBox)
		s, err := blackbox.Open(filepath.Join(dir, blackboxDir), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := h.recorder.before(s, filepath.Join(dir, blackboxDir), scrubber(h)); err != nil {
			t.Fatal(err)
		}
		return region(dir)
	}
	if s := run(); strings.Count(s, "Kernel panic") != 1 || strings.Contains(s, "init's ring") {
		t.Errorf("after a reset:\n%s", s)
	}
	if s := run(); strings.Count(s, "Kernel panic") != 1 || strings.Count(s, "init's ring") != 1 {
		t.Errorf("after a restart in one boot:\n%s", s)
	}
}
