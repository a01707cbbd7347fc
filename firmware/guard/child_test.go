package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be its own child.
func TestMain(m *testing.M) {
	what := os.Getenv("GUARD_CHILD")
	if what == "" {
		os.Exit(m.Run())
	}
	if err := ApplyCaps(); err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
	switch what {
	case "eat":
		var all [][]byte
		for range 4096 {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			all = append(all, b)
		}
		fmt.Println("ate", len(all))
	case "limits":
		var d, f unix.Rlimit
		unix.Getrlimit(unix.RLIMIT_DATA, &d)
		unix.Getrlimit(unix.RLIMIT_NOFILE, &f)
		adj, _ := os.ReadFile("/proc/self/oom_score_adj")
		fmt.Println(d.Max, f.Max, strings.TrimSpace(string(adj)), os.Getenv(capsVariable))
	case "powers":
		b, _ := os.ReadFile("/proc/self/status")
		for l := range strings.Lines(string(b)) {
			if strings.HasPrefix(l, "CapAmb") || strings.HasPrefix(l, "CapEff") {
				fmt.Print(l)
			}
		}
		for _, v := range ownVariables {
			if x, ok := os.LookupEnv(v); ok {
				fmt.Println(v, x)
			}
		}
		fmt.Println("kept", os.Getenv("GUARD_KEPT"))
	case "powerful":
		g := New(context.Background(), quiet(), nil)
		for range 2 { // what is taken from the child stays with the parent
			own, out := child("powers")
			if err := own.Run(); err != nil {
				fmt.Println(err)
			}
			fmt.Print("own\n", out)
			c, out := child("powers")
			if err := g.Child(context.Background(), "video", "relay", c, Caps{Memory: 256 << 20}); err != nil {
				fmt.Println(err)
			}
			fmt.Print("child\n", out)
		}
	case "group":
		b, _ := os.ReadFile("/proc/self/cgroup")
		fmt.Print(string(b))
	case "box":
		g := New(context.Background(), quiet(), nil)
		if err := g.UseGroups(); err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
		c, out := child("group")
		err := g.Child(context.Background(), "video", "relay", c, Caps{Memory: 256 << 20})
		b, _ := os.ReadFile("/proc/self/cgroup")
		fmt.Print(err, string(b), out)
	case "hang":
		select {}
	case "panic":
		panic("foreign bytes")
	}
}

func child(what string) (*exec.Cmd, *strings.Builder) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "GUARD_CHILD="+what)
	var out strings.Builder
	c.Stdout = &out
	return c, &out
}

func TestAChildThatEatsMemoryDiesAloneAndIsReported(t *testing.T) {
	g := New(t.Context(), quiet(), nil)
	c, out := child("eat")
	err := g.Child(t.Context(), "video", "eater", c, Caps{Memory: 256 << 20, Within: time.Minute})
	if err == nil || strings.Contains(out.String(), "ate") {
		t.Fatalf("it ate 4 GiB under a cap of 256 MiB: %v %s", err, out)
	}
	if !strings.Contains(err.Error(), "video/eater") {
		t.Errorf("the error does not name it: %v", err)
	}
}

func TestAChildPutsItsCapsOnItself(t *testing.T) {
	g := New(t.Context(), quiet(), nil)
	c, out := child("limits")
	if err := g.Child(t.Context(), "report", "limits", c, Caps{Memory: 512 << 20, Files: 64, Nice: 5}); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d 64 1000", 512<<20)
	if got := strings.TrimSpace(out.String()); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAChildHasNoPowerOfItsParentsAndNoWayToItsInit(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives a process capabilities")
	}
	bin := filepath.Join(readable(t), "box")
	copyTo(t, bin, os.Args[0])
	c := exec.Command(bin)
	c.Env = append(os.Environ(), "GUARD_CHILD=powerful", "GUARD_KEPT=yes")
	for _, v := range ownVariables {
		c.Env = append(c.Env, v+"=x")
	}
	// As init starts edged.
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 900, Gid: 900}, AmbientCaps: []uintptr{unix.CAP_NET_BIND_SERVICE}}
	out, err := c.Output()
	if errors.Is(err, unix.EPERM) {
		t.Skip("this machine gives no capabilities:", err)
	}
	if err != nil {
		t.Fatal(err, string(out))
	}
	const mine = "CapEff:\t0000000000000400\nCapAmb:\t0000000000000400\n"
	const none = "CapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n"
	own := "own\n" + mine
	for _, v := range ownVariables {
		own += v + " x\n"
	}
	once := own + "kept yes\nchild\n" + none + "kept yes\n"
	if string(out) != once+once {
		t.Errorf("%s\nis not\n%s", out, once+once)
	}
}

// readable is a folder that every user may enter.
func readable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "guard")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyTo(t *testing.T, to, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestAChildEndsWithItsContextAndItsTime(t *testing.T) {
	g := New(t.Context(), quiet(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	c, _ := child("hang")
	if err := g.Child(ctx, "speech", "hang", c, Caps{Memory: 256 << 20}); err == nil {
		t.Error("it ended by itself")
	}
	c, _ = child("hang")
	if err := g.Child(t.Context(), "speech", "hang", c, Caps{Memory: 256 << 20, Within: 50 * time.Millisecond}); err == nil {
		t.Error("it ended by itself")
	}
	c, _ = child("panic")
	if err := g.Child(t.Context(), "speech", "panic", c, Caps{Memory: 256 << 20}); err == nil {
		t.Error("a panic is no error")
	}
	c, _ = child("limits")
	if err := g.Child(t.Context(), "speech", "free", c, Caps{}); err == nil {
		t.Error("a child without a memory cap was started")
	}
}
