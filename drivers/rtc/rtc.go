// Package rtc is the board's own clock chip as the kernel has it (/dev/rtc0): whatever chip the
// kernel drives. One that hangs on an I2C bus without the kernel's driver is drivers/i2c's.
//
// Sources: linux/rtc.h (RTC_RD_TIME, RTC_SET_TIME: tm_year counts from 1900, tm_mon from 0; the chip
// is kept in UTC), rtc(4): a chip that stood still since it was set answers EINVAL.
package rtc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/drivers"
)

// Clock is one. Use New.
type Clock struct {
	path string
	do   func(func(fd int) error) error
}

// New gives the clock of a device file, which is opened for each asking: other programs need it too.
func New(path string) *Clock {
	return &Clock{path: path, do: func(f func(int) error) error {
		h, err := os.OpenFile(path, os.O_RDONLY, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", path, drivers.ErrAbsent)
		}
		if err != nil {
			return err
		}
		defer h.Close()
		c, err := h.SyscallConn()
		if err != nil {
			return err
		}
		var inner error
		if err := c.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
			return err
		}
		return inner
	}}
}

// Time is drivers.Timepiece.
func (c *Clock) Time(context.Context) (time.Time, error) {
	var t time.Time
	err := c.do(func(fd int) error {
		v, err := unix.IoctlGetRTCTime(fd)
		if err == nil {
			t, err = moment(*v)
		}
		return err
	})
	if errors.Is(err, unix.EINVAL) {
		return time.Time{}, &drivers.Fault{Kind: drivers.FaultOther, Detail: "the clock stood still since it was set: its cell is empty or it was never set", Err: err}
	}
	return t, err
}

func moment(v unix.RTCTime) (time.Time, error) {
	t := time.Date(1900+int(v.Year), time.Month(v.Mon+1), int(v.Mday), int(v.Hour), int(v.Min), int(v.Sec), 0, time.UTC)
	if t.Year() != 1900+int(v.Year) || int(t.Month()) != int(v.Mon)+1 || t.Day() != int(v.Mday) || t.Hour() != int(v.Hour) || t.Minute() != int(v.Min) || t.Second() != int(v.Sec) {
		return time.Time{}, &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("%+v is no date", v)}
	}
	return t, nil
}

// SetTime is drivers.Timepiece.
func (c *Clock) SetTime(_ context.Context, t time.Time) error {
	v := registers(t)
	return c.do(func(fd int) error { return unix.IoctlSetRTCTime(fd, &v) })
}

func registers(t time.Time) unix.RTCTime {
	t = t.UTC()
	return unix.RTCTime{Sec: int32(t.Second()), Min: int32(t.Minute()), Hour: int32(t.Hour()), Mday: int32(t.Day()), Mon: int32(t.Month()) - 1, Year: int32(t.Year()) - 1900}
}

// String names it.
func (c *Clock) String() string { return c.path }

var _ drivers.Timepiece = (*Clock)(nil)
