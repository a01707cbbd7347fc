package pps

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tocsin/drivers"
)

func TestThatAPulseIsGivenOnceWithItsAge(t *testing.T) {
	at := time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)
	now, edge, err := at, Edge{}, error(nil)
	d := New("/dev/pps0", Opts{Fetch: func(most time.Duration) (Edge, error) {
		if most <= 0 || most > 2*time.Second {
			t.Errorf("waits %v", most)
		}
		return edge, err
	}, Now: func() time.Time { return now }})
	for _, c := range []struct {
		name string
		edge Edge
		err  error
		now  time.Duration
		ago  time.Duration
		kind drivers.FaultKind
	}{
		{"before the first pulse the kernel gives zeros", Edge{0, time.Unix(0, 0)}, nil, 0, 0, drivers.FaultTimeout},
		{"a pulse", Edge{5, at}, nil, 3 * time.Millisecond, 3 * time.Millisecond, 0},
		{"the same again", Edge{5, at}, nil, 900 * time.Millisecond, 0, drivers.FaultTimeout},
		{"the next", Edge{6, at.Add(time.Second)}, nil, 1002 * time.Millisecond, 2 * time.Millisecond, 0},
		{"the clock was set back between", Edge{7, at.Add(2 * time.Second)}, nil, -time.Hour, 0, drivers.FaultTimeout},
		{"the clock was set ahead between", Edge{8, at.Add(3 * time.Second)}, nil, time.Hour, 0, drivers.FaultTimeout},
		{"no pulse", Edge{}, unix.ETIMEDOUT, 0, 0, drivers.FaultTimeout},
		{"the device went", Edge{}, unix.ENODEV, 0, 0, drivers.FaultGone},
	} {
		edge, err, now = c.edge, c.err, at.Add(c.now)
		ago, got := d.Next(context.Background())
		if c.kind == 0 && (got != nil || ago != c.ago) || c.kind != 0 && drivers.KindOf(got) != c.kind {
			t.Errorf("%s: %v, %v", c.name, ago, got)
		}
	}
	ctx, end := context.WithCancel(context.Background())
	end()
	if _, err := d.Next(ctx); drivers.KindOf(err) != drivers.FaultCancelled {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAFileThatIsNoPulseIsSaidToBeNone(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "pps0")); !errors.Is(err, drivers.ErrAbsent) {
		t.Errorf("%v", err)
	}
	name := filepath.Join(t.TempDir(), "pps0")
	os.WriteFile(name, nil, 0o600)
	if _, err := Open(name); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("a plain file: %v", err)
	}
}

// The kernel's structures, as linux/pps.h lays them out where int64 is aligned to eight.
func TestTheKernelsLayout(t *testing.T) {
	var d unix.PPSFData
	if n := unsafe.Sizeof(d); n != 64 {
		t.Errorf("pps_fdata has %d bytes", n)
	}
	if o := unsafe.Offsetof(d.Timeout); o != 48 {
		t.Errorf("the timeout is at %d", o)
	}
	want := map[uintptr]uint32{8: 0xc00870a4, 4: 0xc00470a4}[pointer]
	if uint32(fetchPulse) != want {
		t.Errorf("PPS_FETCH is %x", fetchPulse)
	}
}
