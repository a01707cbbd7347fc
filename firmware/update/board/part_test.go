package board

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tocsin/firmware/phrase"
	"tocsin/firmware/update/slots"
)

// handing is an init that answers everything with a line, and with descriptors of files.
func handing(t *testing.T, line string, files ...*os.File) Init {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(c).ReadString('\n')
			var fds []int
			for _, f := range files {
				fds = append(fds, int(f.Fd()))
			}
			var rights []byte
			if fds != nil {
				rights = unix.UnixRights(fds...)
			}
			_, _, _ = c.(*net.UnixConn).WriteMsgUnix([]byte(line), rights, nil)
			c.Close()
		}
	}()
	return Init{path}
}

// device is a file in a partition's place.
func device(t *testing.T, flag int) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slot")
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// openOf counts this process's descriptors of a file.
func openOf(t *testing.T, f *os.File) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == f.Name() {
			n++
		}
	}
	return n
}

func TestADescriptorThatInitHandsOverIsNoChildsOfEdged(t *testing.T) {
	f := device(t, os.O_RDWR)
	init := handing(t, "{}\n", f)
	p, err := init.Part("B", true)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Size() != 4096 {
		t.Fatal(p.Size())
	}
	if flags, err := unix.FcntlInt(p.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Fatalf("flags %x, %v", flags, err)
	}
	out, err := exec.Command("ls", "-l", "/proc/self/fd").CombinedOutput()
	if err != nil || strings.Contains(string(out), f.Name()) {
		t.Fatalf("a child has it: %s %v", out, err)
	}
	if _, err := p.WriteAt([]byte("release"), 100); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 7)
	if _, err := f.ReadAt(b, 100); err != nil || string(b) != "release" {
		t.Fatalf("%q %v", b, err)
	}
	if err := init.Into("B", func(slots.Partition) error {
		if n := openOf(t, f); n != 3 {
			t.Errorf("%d are open", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := openOf(t, f); n != 2 {
		t.Errorf("it stays open after its use: %d", n)
	}
}

func TestWhatComesOtherwiseThanAskedForIsClosed(t *testing.T) {
	for name, c := range map[string]struct {
		line  string
		flag  int
		n     int
		write bool
	}{
		"none":                    {"{}\n", os.O_RDWR, 0, true},
		"two":                     {"{}\n", os.O_RDWR, 2, true},
		"more than there is room": {"{}\n", os.O_RDWR, 9, true},
		"with a refusal":          {`{"err":"a trial is under way"}` + "\n", os.O_RDWR, 1, true},
		"with half an answer":     {`{"err`, os.O_RDWR, 1, true},
		"only to read":            {"{}\n", os.O_RDONLY, 1, true},
		"to write, unasked":       {"{}\n", os.O_RDWR, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := device(t, c.flag)
			var files []*os.File
			for range c.n {
				files = append(files, f)
			}
			want := "update.no_init"
			if name == "with a refusal" {
				want = "update.init_refused"
			}
			if _, err := handing(t, c.line, files...).Part("B", c.write); err == nil || phrase.Of(err).Code != want {
				t.Fatal(err)
			}
			if n := openOf(t, f); n != 1 {
				t.Fatalf("%d are open", n)
			}
		})
	}
}

func TestADescriptorThatNobodyAskedForIsNotKept(t *testing.T) {
	f := device(t, os.O_RDWR)
	if _, err := handing(t, `{"text":"x"}`+"\n", f).Kept(false); err != nil {
		t.Fatal(err)
	}
	if n := openOf(t, f); n != 1 {
		t.Fatalf("%d are open", n)
	}
}
