package text

import (
	"bytes"
	"context"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
)

// say makes a device that hears pieces, one each millisecond.
func say(t *testing.T, o Opts, pieces ...string) (*Device, *drivertest.Wire) {
	t.Helper()
	w := drivertest.NewWire(&drivertest.Slave{}, 0)
	for i, p := range pieces {
		w.Put(time.Duration(i+1)*time.Millisecond, 0, []byte(p))
	}
	d, err := New(func() (drivers.Port, error) { return w, nil }, o)
	if err != nil {
		t.Fatal(err)
	}
	return d, w
}

// hear gives every line that comes within a second: its fields, or the kind of
// its fault.
func hear(d *Device) (out []any) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for {
		r, err := d.Next(ctx)
		switch {
		case err == nil:
			out = append(out, r.Fields)
		case ctx.Err() != nil:
			return out
		default:
			out = append(out, drivers.KindOf(err))
			if drivers.KindOf(err) == drivers.FaultGone {
				return out
			}
		}
	}
}

func TestLinesAreCutIntoFields(t *testing.T) {
	f := func(s ...string) []string { return s }
	bad := drivers.FaultGarbled
	long := strings.Repeat("1", 600)
	for _, c := range []struct {
		name   string
		o      Opts
		pieces []string
		want   []any
	}{
		{"one line", Opts{Start: "$"}, []string{"$1,2.5,x\r\n"}, []any{f("1", "2.5", "x")}},
		{"start with a name", Opts{Start: "$RAIN"}, []string{"$RAIN,1,2\r\n$WIND,9\r\n$RAIN,3,4\r\n"}, []any{f("1", "2"), f("3", "4")}},
		{"byte by byte", Opts{Start: "$"}, strings.Split("$1,2\r\n", ""), []any{f("1", "2")}},
		{"half a line first", Opts{Start: "$"}, []string{"5,7\r\n", "$1\r\n"}, []any{f("1")}},
		{"half a line first, no start", Opts{}, []string{"5,7\r\n", "1,2\r\n"}, []any{f("1", "2")}},
		{"an end that was lost", Opts{Start: "$"}, []string{"$1,2", "$3,4\r\n"}, []any{f("3", "4")}},
		{"only a line feed", Opts{Start: "$"}, []string{"$1\n$2\n"}, []any{f("1"), f("2")}},
		{"another end and separator", Opts{Start: "#", End: ";", Separator: " "}, []string{"#1 2;#3 4;"}, []any{f("1", "2"), f("3", "4")}},
		{"xor", Opts{Start: "$", Checksum: XOR}, []string{"$PFEC,GPint*58\r\n$PFEC,GPinu*58\r\n$PFEC\r\n$PFEC,GPint*zz\r\n"}, []any{f("PFEC", "GPint"), bad, bad, bad}},
		{"sum", Opts{Start: "$", Checksum: Sum}, []string{"$AB*83\r\n$AB*84\r\n"}, []any{f("AB"), bad}},
		{"crc", Opts{Start: "$", Checksum: CRC16}, []string{"$123456789*4B37\r\n$123456788*4B37\r\n"}, []any{f("123456789"), bad}},
		{"too long, then good", Opts{Start: "$"}, []string{"$" + long + "\r\n$1\r\n"}, []any{bad, f("1")}},
		{"far too long, then good", Opts{Start: "$"}, []string{"$" + strings.Repeat(long, 10) + "\r\n$1\r\n"}, []any{bad, f("1")}},
		{"wrong parity arrives as NUL", Opts{Start: "$"}, []string{"$1\x00.4\r\n$12.4\r\n"}, []any{bad, f("12.4")}},
		{"bytes that are no text", Opts{Start: "$"}, []string{"$1\xff\r\n$2\r\n"}, []any{bad, f("2")}},
		{"empty lines", Opts{Start: "$"}, []string{"\r\n\r\n$1\r\n"}, []any{f("1")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, _ := say(t, c.o, c.pieces...)
				defer d.Close()
				if got := hear(d); !reflect.DeepEqual(got, c.want) {
					t.Errorf("%v\nwant %v", got, c.want)
				}
			})
		})
	}
}

func TestARecordSaysWhenItsLastByteCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d, _ := say(t, Opts{Start: "$"}, "$1,", "2", "\r\n")
		defer d.Close()
		r, err := d.Next(context.Background())
		if err != nil || r.At.Sub(start) != 3*time.Millisecond || r.Raw != "$1,2" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestTenMegabytesOfNoiseAreOnlyNoise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		var noise []string
		b := make([]byte, 4096)
		for range 2560 {
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			noise = append(noise, string(b))
		}
		d, _ := say(t, Opts{Start: "$", Checksum: XOR}, append(noise, "\r\n$PFEC,GPint*58\r\n")...)
		defer d.Close()
		good := 0
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for ctx.Err() == nil {
			r, err := d.Next(ctx)
			if err == nil {
				good++
				if r.Raw != "$PFEC,GPint*58" {
					t.Errorf("noise taken for %q", r.Raw)
				}
			}
			if cap(d.line) > 2*longest {
				t.Fatalf("%d bytes held", cap(d.line))
			}
		}
		if good != 1 || d.Garbled() == 0 {
			t.Errorf("%d good, %d garbled", good, d.Garbled())
		}
	})
}

func TestAPolledDeviceIsAskedEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &drivertest.Slave{}
		d, w := say(t, Opts{Start: "$", Poll: drivertest.Frame(1, []byte{3, 0, 1, 0, 1}), Interval: 10 * time.Second})
		w.Slave = s
		defer d.Close()
		for range 5 { // calls that end early do not ask more often
			ctx, cancel := context.WithTimeout(context.Background(), 7*time.Second)
			d.Next(ctx)
			cancel()
		}
		if n := len(s.Asked()); n != 4 { // at 0, 10, 20, 30 s of 35
			t.Errorf("asked %d times in 35 s", n)
		}
	})
}

func TestAPortThatWentIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		d, err := New(func() (drivers.Port, error) {
			opened++
			w := drivertest.NewWire(&drivertest.Slave{}, 0)
			w.Put(time.Millisecond, 0, []byte("$1\r\n"))
			time.AfterFunc(time.Second, w.Pull)
			return w, nil
		}, Opts{Start: "$"})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := d.Next(context.Background()); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Next(context.Background()); drivers.KindOf(err) != drivers.FaultGone {
				t.Fatal(err)
			}
		}
		if opened != 2 {
			t.Errorf("opened %d times", opened)
		}
		ended := make(chan error)
		d.Next(context.Background())
		go func() { _, err := d.Next(context.Background()); ended <- err }()
		synctest.Wait()
		d.Close()
		if err := <-ended; drivers.KindOf(err) != drivers.FaultGone {
			t.Error(err)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("$PFEC,GPint*58\r\n"), uint8(7))
	f.Add([]byte("$1,2$3*00\n\n\r$"), uint8(1))
	f.Add(bytes.Repeat([]byte("$*"), 600), uint8(255))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		for _, sum := range []string{None, XOR, Sum, CRC16} {
			d, err := New(nil, Opts{Start: "$", Checksum: sum})
			if err != nil {
				t.Fatal(err)
			}
			for p := b; len(p) > 0; {
				n := min(len(p), int(step)+1)
				d.spare, p = p[:n], p[n:]
				for len(d.spare) > 0 {
					r, ok, err := d.take()
					if err != nil && drivers.KindOf(err) != drivers.FaultGarbled {
						t.Fatal(err)
					}
					if ok && (!printable(r.Raw) || len(r.Raw) > longest || !strings.HasPrefix(r.Raw, "$") || len(r.Fields) == 0) {
						t.Fatalf("%q", r.Raw)
					}
					if len(d.line) > longest+2 {
						t.Fatal("unbounded")
					}
				}
			}
		}
	})
}
