// Command broken is what a release may have for its init when it went wrong: the bench puts
// it into releases that are signed all the same, and looks what becomes of the board.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How it is broken, set by the linker: "panic" ends, so that the kernel panics; "hang"
// does nothing for ever; "starve" opens the watchdog, for so long as init does, and then
// does nothing.
var How = "panic"

func main() {
	fmt.Println("init: a broken one:", How)
	switch How {
	case "hang":
	case "starve":
		_ = syscall.Mount("devtmpfs", "/dev", "devtmpfs", 0, "")
		if f, err := os.OpenFile("/dev/watchdog0", os.O_WRONLY, 0); err == nil {
			defer f.Close()
			_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.WDIOC_SETTIMEOUT, 15)
		}
	default:
		panic("this release is broken")
	}
	for {
		time.Sleep(time.Hour)
	}
}
