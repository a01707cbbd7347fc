package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Caps bound a child: what may eat memory or crash on foreign bytes runs as one
// (video, rehearsals, reports, rendering of speech), never in the alarm path's
// process.
type Caps struct {
	// Memory is the most private memory in bytes (RLIMIT_DATA, setrlimit(2)),
	// which also bounds the Go heap a little below it.
	Memory int64
	// Files is the most open files; 0 takes 256.
	Files uint64
	// Nice is added to the priority, 0 to 19.
	Nice int
	// Weight is its share of a busy processor where this process' is 100, in a control
	// group of its own, if there are such (UseGroups); 0 takes 25.
	Weight int
	// Within is the longest it may run; 0 is no bound.
	Within time.Duration
}

// capsVariable carries the caps to the child, which puts them on itself before
// it touches any foreign byte.
const capsVariable = "TOCSIN_CAPS"

// ownVariables are this process' alone: by them it speaks with who supervises it, and with
// the board's init, which starts other software and other machines for who asks.
var ownVariables = []string{"TOCSIN_INIT", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}

func ownVariable(kv string) bool {
	name, _, _ := strings.Cut(kv, "=")
	return slices.Contains(ownVariables, name)
}

// heapShare is the part of Caps.Memory that the child's heap may take before the
// collector works harder, in percent: stacks and the runtime need the rest.
const heapShare = 80

// Child runs a command of this program, or of one that belongs to it, under caps and waits for its end.
// The command must call ApplyCaps first. It is killed with this process, when ctx
// ends, and when it has run for longer than it may; the kernel takes it before
// anything else when memory runs out. It has none of this process' capabilities and
// nothing by which it could speak with init or the service manager in its name.
func (g *Guard) Child(ctx context.Context, owner, name string, cmd *exec.Cmd, c Caps) error {
	if c.Memory <= 0 {
		return fmt.Errorf("child %s/%s has no memory cap", owner, name)
	}
	if c.Files == 0 {
		c.Files = 256
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = slices.DeleteFunc(slices.Clone(cmd.Env), ownVariable)
	group := ""
	if s := g.groups.Load(); s != nil {
		var err error
		if group, err = s.open(owner, name, c); err != nil {
			g.log.Warn("a child has no control group of its own", "child", owner+"/"+name, "err", err)
		} else {
			defer endGroup(group)
		}
	}
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d,%d,%d,%s", capsVariable, c.Memory, c.Files, c.Nice, group))
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr.Setpgid = true
	if c.Within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Within)
		defer cancel()
	}
	if err := startPowerless(cmd); err != nil {
		return fmt.Errorf("child %s/%s: %w", owner, name, err)
	}
	stop := context.AfterFunc(ctx, func() { unix.Kill(-cmd.Process.Pid, unix.SIGKILL) })
	err := cmd.Wait()
	stop()
	if ctx.Err() != nil {
		return fmt.Errorf("child %s/%s: %w", owner, name, errors.Join(context.Cause(ctx), err))
	}
	if err != nil {
		return fmt.Errorf("child %s/%s: %w", owner, name, err)
	}
	return nil
}

// ApplyCaps puts the caps that a parent's Child gave on this process. A process
// that is nobody's child is left as it is. It is called first thing in main.
func ApplyCaps() error {
	s, ok := os.LookupEnv(capsVariable)
	if !ok {
		return nil
	}
	if err := os.Unsetenv(capsVariable); err != nil {
		return err
	}
	var n [3]int64
	parts := strings.SplitN(s, ",", len(n)+1)
	if len(parts) != len(n)+1 {
		return fmt.Errorf("%s=%q is not three numbers and a group", capsVariable, s)
	}
	for i := range n {
		v, err := strconv.ParseInt(parts[i], 10, 64)
		if err != nil || v < 0 {
			return fmt.Errorf("%s=%q is not three numbers and a group", capsVariable, s)
		}
		n[i] = v
	}
	if group := parts[len(n)]; group != "" {
		if err := join(group); err != nil {
			// Its limits and its priority hold it all the same.
			fmt.Fprintln(os.Stderr, "no control group of its own:", err)
		}
	}
	debug.SetMemoryLimit(n[0] / 100 * heapShare)
	for _, l := range []struct {
		what int
		most uint64
	}{{unix.RLIMIT_DATA, uint64(n[0])}, {unix.RLIMIT_NOFILE, uint64(n[1])}, {unix.RLIMIT_CORE, 0}} {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.most, Max: l.most}); err != nil {
			return fmt.Errorf("setrlimit %d: %w", l.what, err)
		}
	}
	if n[2] > 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, int(min(n[2], 19))); err != nil {
			return fmt.Errorf("setpriority: %w", err)
		}
	}
	// First to go when memory runs out: proc_pid_oom_score_adj(5).
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
