package station

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/configs"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/hwtest/line"
	"tocsin/hwtest/storm"
)

func TestAUnitThatMisbehavesIsNamedAndStopsNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for unit, f := range map[byte]line.Fault{
		storm.UnitRainA: {WrongUnit: 9},
		storm.UnitRainB: {Exception: line.IllegalAddress},
		storm.UnitRiver: {HalfFrame: true},
	} {
		w.v.Field.SetFault(unit, f)
	}
	w.v.Gateway.SetFault(storm.UnitUp, line.Fault{Exception: line.DeviceBusy})
	w.start()
	w.faulty("device rain-a", []string{"rain-a（地址 1）", "别的仪器的应答", "两台地址相同"}, []string{"rain-a (unit 1)", "another device answered", "two devices with one address"})
	w.faulty("device rain-b", []string{"rain-b（地址 2）", "异常码 2", "请查设备型号与设备文件是否相符"}, []string{"rain-b (unit 2)", "exception 2", "check that the profile is for this model"})
	w.faulty("device river", []string{"river", "请查接地、终端电阻和波特率"}, []string{"river", "check grounding, termination and baud rate"})
	w.faulty("device upstream", []string{"upstream", "异常码 6", "仪器正忙"}, []string{"upstream", "exception 6", "busy"})
	for _, id := range []point.ID{"rain-a.total", "rain-b.total", "river.level", "upstream.level"} {
		w.until(string(id)+" is a fault", func() bool {
			r := w.reading(id)
			return r.Quality == point.CommFault && r.Value == nil && r.Why != nil && r.Why.ZH != "" && r.Why.EN != "" && r.Why.ZH != r.Why.EN
		})
	}
	w.until("the others go on", func() bool {
		return w.reading("gas.ch4").Quality == point.Good && w.reading("rain-c.total").Quality == point.Good
	})
	w.crosses()

	w.v.Field.ClearFault(storm.UnitRiver)
	w.until("the healed one is read again", func() bool { return w.reading("river.level").Quality == point.Good })
	w.mended("device river")
}

func TestNoiseIsNotTakenForAnything(t *testing.T) {
	t.Parallel()
	const megabytes = 10 << 20
	w := newTown(t)
	w.start()
	before := w.reading("river.level")
	noisy := func(l *line.Line) func() bool { return func() bool { return l.Counters().NoiseBytes >= megabytes } }
	for _, l := range []*line.Line{w.v.Field, w.v.Text} {
		l.Reset()
		if err := l.Blob(megabytes); err != nil {
			t.Fatal(err)
		}
	}
	wrong := func(id point.ID, want *float64) {
		t.Helper()
		if r := w.reading(id); r.Quality == point.Good && r.Value != nil && want != nil && *r.Value != *want {
			t.Errorf("%s: noise was taken for %v", id, *r.Value)
		}
	}
	zero := 0.0
	w.within(2*patience, "10 MB of noise on both lines", func() bool {
		wrong("river.level", before.Value)
		wrong("rain-a.total", &zero)
		wrong("rain-c.total", &zero)
		return noisy(w.v.Field)() && noisy(w.v.Text)()
	})
	if a, ok := w.alarm("gas"); ok {
		t.Errorf("noise raised %+v", a)
	}
	w.until("the gauges are read again", func() bool {
		return w.reading("gas.ch4").Quality == point.Good && w.reading("rain-c.total").Quality == point.Good
	})
	w.crosses()
}

func TestAPortThatIsNotThereIsNamedAndStopsNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	right, wrong := w.v.Port(storm.TextPort), filepath.Join(w.dir, "dev", "ttyNONE")
	w.edit(right, wrong)
	w.start()
	w.faulty("line text", []string{"线路 text", wrong, "不存在", "请查转换器是否插好"}, []string{"line text", wrong, "is not there", "check that the adapter is plugged in"})
	w.until("a fault on the point", func() bool { return w.reading("rain-c.total").Quality == point.CommFault })
	w.crosses()

	// The mend: the right name, in a person's, since a level stands.
	w.editBy("王")
	w.until("it is read", func() bool { return w.reading("rain-c.total").Quality == point.Good })
	w.mended("line text")
	w.mended("device rain-c")
}

func TestAPortThatAnotherProgramHoldsNamesTheProgram(t *testing.T) {
	if path := os.Getenv("TOCSIN_TEST_HOLDS"); path != "" {
		holdPort(path)
		return
	}
	t.Parallel()
	for _, how := range []string{"flock", "TIOCEXCL"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			if how == "TIOCEXCL" && os.Getuid() == 0 {
				t.Skip("root opens a port in spite of TIOCEXCL")
			}
			w := newTown(t)
			port := w.v.Port(storm.TextPort)
			pid, release := hold(t, port, how)
			w.start()
			by := fmt.Sprintf("%s (pid %d)", "station.test", pid)
			w.faulty("line text", []string{port, "被", by, "占用", "请停掉它"}, []string{port, "is held by", by, "stop it"})
			w.until("a fault on the point", func() bool { return w.reading("rain-c.total").Quality == point.CommFault })
			w.crosses()
			release()
			if how == "TIOCEXCL" {
				// A pseudo terminal keeps the mark as long as its far end is open, a
				// real port until its last close: put a fresh one in.
				if err := errors.Join(w.v.Text.Unplug(), w.v.Text.Replug()); err != nil {
					t.Fatal(err)
				}
			}
			w.until("it is read", func() bool { return w.reading("rain-c.total").Quality == point.Good })
			w.mended("line text")
		})
	}
}

// hold runs this test's program anew, to hold a port.
func hold(t *testing.T, port, how string) (pid int, release func()) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run", "^TestAPortThatAnotherProgramHoldsNamesTheProgram$")
	c.Env = append(os.Environ(), "TOCSIN_TEST_HOLDS="+port, "TOCSIN_TEST_HOW="+how)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end := func() { c.Process.Kill(); c.Wait() }
	t.Cleanup(end)
	for s := bufio.NewScanner(out); s.Scan(); {
		if s.Text() == "held" {
			return c.Process.Pid, end
		}
	}
	t.Fatal("the other program could not hold the port")
	return 0, nil
}

func holdPort(path string) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err == nil {
		if os.Getenv("TOCSIN_TEST_HOW") == "flock" {
			err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		} else {
			err = unix.IoctlSetInt(fd, unix.TIOCEXCL, 0)
		}
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("held")
	time.Sleep(time.Hour) // until it is killed
}

// TestABadFileAtRunTimeChangesNothing reads one bad file after the other: each is
// one fault that names thing, place and mend, and everything goes on.
func TestABadFileAtRunTimeChangesNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	rain, err := configs.FS.ReadFile("profiles/generic-rain-rs485.yaml")
	if err != nil {
		t.Fatal(err)
	}
	bad := func(old, by string) string {
		if !strings.Contains(string(rain), old) {
			t.Fatalf("the rain profile has no %q", old)
		}
		return strings.NewReplacer("profile: generic-rain-rs485", "profile: bad", old, by).Replace(string(rain))
	}
	use := []string{"profile: generic-rain-rs485, line: field, unit: 1", "profile: bad, line: field, unit: 1"}
	for _, c := range []struct {
		name    string
		profile string
		edit    []string
		gone    bool
		zh, en  []string
	}{
		{"unknown key", "", []string{"every: 300ms", "evry: 300ms"}, false, []string{"不认识的项 “evry”", "检查拼写"}, []string{"unknown key “evry”", "check its spelling"}},
		{"wrong unit", "", []string{"prepare: 20 %LEL", "prepare: 20 m"}, false, []string{"gas.ch4", "单位是 %LEL", "请改用同类单位"}, []string{"gas.ch4", "is in %LEL", "use a unit of the same kind"}},
		{"proof fails", bad("gives: {total: 123.4}", "gives: {total: 123.5}"), use, false, []string{"设备文件 bad 用不了", "验证记录不符", "123.5", "123.4"}, []string{"profile bad cannot be used", "the proof does not hold", "123.5", "123.4"}},
		{"two types", bad("proof:", "  - {id: other, name: {zh: 另一个, en: other}, read: holding 0x0000, type: int16, unit: mm, every: 10s}\nproof:"), use, false,
			[]string{"total（uint16）和 other（int16）", "同一个寄存器", "请对照说明书"}, []string{"total (uint16) and other (int16)", "the same register", "from the manual"}},
		{"no profile", "", []string{"generic-ch4-rs485", "generic-ch5-rs485"}, false, []string{"generic-ch5-rs485", "generic-ch4-rs485"}, []string{"generic-ch5-rs485", "generic-ch4-rs485"}},
		{"missing file", "", nil, true, []string{"没有这个文件", "请检查路径"}, []string{"there is no such file", "check the path"}},
		{"no YAML", "", []string{"version: 1", "version: [1"}, false, []string{"写法有误"}, []string{"cannot be read as YAML"}},
	} {
		if c.profile != "" {
			w.write("profiles/bad.yaml", c.profile)
		}
		w.edit(c.edit...)
		if c.gone {
			if err := os.Remove(filepath.Join(w.dir, "site.yaml")); err != nil {
				t.Fatal(err)
			}
		}
		w.hangUp()
		w.faulty("site file", append(c.zh, "site.yaml", "仍按原配置运行"), append(c.en, "site.yaml", "stays in force"))
		// Another reading since then; a busy machine may be late with one of them.
		since := w.reading("gas.ch4").At
		w.until(c.name+": gas.ch4 is read on", func() bool {
			r := w.reading("gas.ch4")
			return r.Quality == point.Good && r.At.After(since)
		})
		w.edit()
		w.hangUp()
		w.mended("site file")
	}
	var all []api.Fault
	w.until("no fault is left", func() bool {
		all = nil
		return w.get("/faults", &all) == nil && len(all) == 0
	})
	w.crosses()
}
