package rtc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/drivers"
)

func TestADateGoesThereAndBackAndWhatIsNoneIsRefused(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(2027, 3, 1, 8, 30, 59, 0, time.UTC), time.Date(2028, 2, 29, 23, 59, 0, 0, time.UTC), time.Date(2038, 1, 20, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := moment(registers(at.In(time.FixedZone("CST", 8*3600)))); err != nil || !got.Equal(at) {
			t.Errorf("%v: %v, %v", at, got, err)
		}
	}
	if v := registers(time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)); v.Year != 127 || v.Mon != 2 || v.Mday != 1 {
		t.Errorf("the kernel counts years from 1900 and months from 0: %+v", v)
	}
	for _, v := range []unix.RTCTime{{Year: 127, Mon: 1, Mday: 30}, {Year: 127, Mon: 12, Mday: 1}, {Year: 127, Mday: 0}, {Year: 127, Mday: 1, Hour: 24}, {Year: 127, Mday: 1, Sec: -1}} {
		if _, err := moment(v); drivers.KindOf(err) != drivers.FaultGarbled {
			t.Errorf("%+v: %v", v, err)
		}
	}
}

func TestWhatIsNotThereOrStoodStillIsSaid(t *testing.T) {
	if _, err := New(filepath.Join(t.TempDir(), "rtc0")).Time(context.Background()); !errors.Is(err, drivers.ErrAbsent) {
		t.Errorf("%v", err)
	}
	name := filepath.Join(t.TempDir(), "rtc0")
	os.WriteFile(name, nil, 0o600)
	if _, err := New(name).Time(context.Background()); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("a plain file: %v", err)
	}
	c := &Clock{path: "rtc0", do: func(func(int) error) error { return unix.EINVAL }}
	if _, err := c.Time(context.Background()); drivers.KindOf(err) != drivers.FaultOther || !errors.Is(err, unix.EINVAL) {
		t.Errorf("a clock that stood still: %v", err)
	}
}

func FuzzMoment(f *testing.F) {
	f.Add(int32(127), int32(2), int32(1), int32(8), int32(0), int32(0))
	f.Add(int32(-1), int32(255), int32(1<<30), int32(-1<<31), int32(60), int32(60))
	f.Fuzz(func(t *testing.T, year, mon, day, hour, minute, sec int32) {
		at, err := moment(unix.RTCTime{Year: year, Mon: mon, Mday: day, Hour: hour, Min: minute, Sec: sec})
		if err == nil && (int(at.Month())-1 != int(mon) || at.Day() != int(day) || at.Second() != int(sec)) {
			t.Errorf("%v", at)
		}
	})
}
