package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Version is the image's, set by the linker.
var Version = "dev"

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init is the first process of a Tocsin board and does nothing elsewhere")
		os.Exit(2)
	}
	debug.SetGCPercent(50)
	b := &board{log: newRing(ringSize), started: time.Now(), reboot: func() error { return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) }}
	// The kernel's word to the machine's button; what it says is seen in devices.go.
	signal.Ignore(unix.SIGHUP, unix.SIGINT)
	b.run(context.Background())
}

// board is the machine that init looks after.
type board struct {
	log     *ring
	started time.Time
	args    cmdline
	slots   slotPlaces
	data    dataState
	// dataMended: a partition whose mending took longer than the start waited is whole.
	dataMended atomic.Bool
	box        *supervisor
	dog        *watchdog
	net        *network
	cycles     cycles
	// believes is what the image says of releases; judging, that the other slot is being read.
	believes believes
	judging  atomic.Bool
	// trialAsked: the boot environment was told in this boot what to try next.
	trialAsked atomic.Bool
	// firmware: it chose the slot itself, and not a boot loader of ours.
	firmware bool

	// reboot starts the machine anew; nil in a test, which does not.
	reboot func() error
	// sync has all disks take what waits for them; nil is sync(2).
	sync func()

	// memory guards what was kept in memory on its way to the mended disk; memoryOver: a start anew
	// has begun. mended and inMemory are where that disk and the box are in a test; nil: the disk is
	// mounted.
	memory     sync.Mutex
	memoryOver bool
	memoryName string // its place there
	mended     func() string
	inMemory   string

	// spare guards the spare copy; spareOver: a reset has begun, and none is made any more.
	spare     sync.Mutex
	spareOver bool
	spareSaid bool

	// allowReset is until when the button allows a reset, in nanoseconds since 1970.
	allowReset atomic.Int64
}

func (b *board) run(ctx context.Context) {
	_ = os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin") // the kernel gives none
	mountKernel(b)
	b.log.console = openConsole()
	b.say("init %s", Version)
	b.args = readCmdline("/proc/cmdline")
	b.firmware = b.args.fromFirmware(firmwareTree)
	b.believes = readBelieves("/etc/tocsin") // before the root is another
	loadDrivers(b, firstDrivers)
	b.start("devices", func() { b.watchDevices(ctx) })
	// The start is within the watchdog's bound as everything else is: it is fed from now on,
	// and edged's first proof is waited for no longer than any other (hopeless).
	b.box = newSupervisor(b)
	b.dog = openWatchdog(b)
	b.vital("watchdog", func() { b.dog.run(ctx, b.box) })
	if err := b.enterRoot(); err != nil {
		b.say("root: %v", err)
		b.startFailed("it has no root") // without one there is no edged
		b.restart("it has no root")
	}
	b.beside("warm", func() { b.attempt("warm", func() error { return warm(boxProgram) }) })
	if words := lastWords("/sys/fs/pstore"); words != "" {
		b.say(quoting+"%s", words)
	}
	if panicked("/sys/fs/pstore") {
		b.startFailed("the one before ended in a panic")
	}
	// Beside the start: edged takes up what appears, and a chip that hangs in its probe holds up nobody.
	b.beside("drivers", func() {
		loadDrivers(b, rootDrivers)
		b.settleDevices()
	})
	b.settleDevices()
	b.attempt("clock", b.floorClock)
	b.attempt("loopback", loopback)
	b.openData()
	b.attempt("keys", b.firstKeys)
	b.attempt("cycles", b.countCycle)
	b.attempt("groups", makeGroups)
	b.net = newNetwork(b, networkFile())
	b.start("control", func() { b.serveControl(ctx) }) // edged asks as soon as it runs, and asks again where it was sooner
	b.vital("supervisor", func() { b.box.run(ctx) })
	b.start("network", func() { b.net.run(ctx) })
	b.beside("growth", func() { b.growData(ctx) })
	b.start("spare", func() { b.followSpare(ctx, boxDir) })
	b.start("label", func() { b.showLabel(ctx) })
	b.start("button", func() { b.watchButton(ctx) })
	b.reap(ctx)
}

// onTrial tells whether the boot loader started this boot as a release's trial.
func (b *board) onTrial() bool { return b.args["next"] != "" && b.args["next"] == b.args["slot"] }

// attempt does a step of the start; a failure is said, and the start goes on.
func (b *board) attempt(what string, f func() error) {
	if err := f(); err != nil {
		b.say("%s: %v", what, err)
	}
}

// say writes a line to the ring, the console and with it what survives a reset.
func (b *board) say(format string, a ...any) { b.log.line("init", fmt.Sprintf(format, a...)) }

// restart flushes and starts the machine anew.
func (b *board) restart(why string) {
	b.say("restart: %s", why)
	if b.box != nil {
		b.box.end()
	}
	if b.data.How == "memory" { // what is mended may be what hangs, and sync(2) waits for it too
		b.attempt("data", func() error {
			return b.within(saveMost, func() error { return b.saveMemory(cmp.Or(b.inMemory, boxDir)) })
		})
		b.attempt("data", func() error { return b.within(memoryWait, func() error { b.flushAll(); return nil }) })
	} else {
		b.flushAll()
	}
	b.data.close()
	if b.reboot == nil {
		return
	}
	if err := b.reboot(); err != nil {
		b.say("restart: %v", err)
	}
}

// within waits for something no longer than that; what hangs goes on beside.
func (b *board) within(most time.Duration, f func() error) error {
	end := make(chan error, 1)
	b.beside("data", func() { end <- f() })
	select {
	case err := <-end:
		return err
	case <-time.After(most):
		return fmt.Errorf("the disk did not take it within %s: it is not waited for", most)
	}
}

// flushAll waits until every disk has what it was given.
func (b *board) flushAll() {
	if b.sync == nil {
		unix.Sync()
		return
	}
	b.sync()
}
