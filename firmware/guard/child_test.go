package guard

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
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
