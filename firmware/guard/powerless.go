package guard

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// startPowerless starts a command without the capabilities that this process hands on to
// what it starts (the ambient set, capabilities(7)). The set is a thread's own, and a child
// has that of the thread which forks it: so it is emptied on this one, for the start alone.
// os/exec can only add to it.
func startPowerless(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	var had []uintptr
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		// What the kernel does not know of, it does not hand on.
		if set, err := unix.PrctlRetInt(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, c, 0, 0); err == nil && set == 1 {
			had = append(had, c)
		}
	}
	if len(had) == 0 {
		defer runtime.UnlockOSThread()
		return cmd.Start()
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("its capabilities cannot be taken from it: %w", err)
	}
	err := cmd.Start()
	var back error
	for _, c := range had {
		back = errors.Join(back, unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0))
	}
	if back == nil {
		runtime.UnlockOSThread()
	} // else the thread is this goroutine's to its end, and hands on nothing to anybody
	return err
}
