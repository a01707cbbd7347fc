package fetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// line is a thin link in virtual time.
type line struct {
	file    []byte
	now     time.Duration
	rate    float64 // bytes in a second
	latency time.Duration
	breaks  func() bool
	barred  func(now time.Duration) bool
	longest time.Duration // that it was busy at a time
	sent    int64
	while   int // parts while it was barred
}

func (l *line) opts(size int64) Opts {
	return Opts{Size: size, Most: 64 << 10, Patience: time.Hour, Now: func() time.Duration { return l.now },
		May: func() bool { return l.barred == nil || !l.barred(l.now) },
		Sleep: func(ctx context.Context, d time.Duration) error {
			l.now += d
			return ctx.Err()
		},
		Part: func(_ context.Context, at int64, n int) ([]byte, error) {
			if l.barred != nil && l.barred(l.now) {
				l.while++
			}
			took := l.latency + time.Duration(float64(n)/l.rate*float64(time.Second))
			l.now += took
			l.longest = max(l.longest, took-l.latency)
			if l.breaks != nil && l.breaks() {
				return nil, errors.New("the link broke")
			}
			l.sent += int64(n)
			return l.file[at:min(len(l.file), int(at)+n)], nil
		}}
}

func file(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

func TestAThinLinkIsNeverFilledAndABreakCostsOnePart(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	l := &line{file: file(600_000), rate: 8000, latency: 600 * time.Millisecond, breaks: func() bool { return r.IntN(5) == 0 }}
	f := New(t.Context(), l.opts(int64(len(l.file))))
	got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<62))
	if err != nil || !bytes.Equal(got, l.file) {
		t.Fatal(len(got), err)
	}
	if l.longest > 2*time.Second {
		t.Errorf("whoever is urgent waited %v behind a part", l.longest)
	}
	if l.sent != int64(len(l.file)) {
		t.Errorf("%d bytes came for a file of %d", l.sent, len(l.file))
	}
}

func TestAQuickLinkIsAskedForLargeParts(t *testing.T) {
	l := &line{file: file(4 << 20), rate: 4e6, latency: 5 * time.Millisecond}
	f := New(t.Context(), l.opts(int64(len(l.file))))
	b := make([]byte, len(l.file))
	if n, err := f.ReadAt(b, 0); n != len(b) || err != nil || !bytes.Equal(b, l.file) {
		t.Fatal(n, err)
	}
	if l.now > 5*time.Second {
		t.Error("it took", l.now)
	}
}

func TestNothingIsFetchedWhileItMayNotGo(t *testing.T) {
	l := &line{file: file(100_000), rate: 8000}
	level := func(now time.Duration) bool { return now > 10*time.Second && now < 2*time.Hour }
	l.barred = level
	f := New(t.Context(), l.opts(int64(len(l.file))))
	b := make([]byte, len(l.file))
	if n, err := f.ReadAt(b, 0); n != len(b) || err != nil {
		t.Fatal(n, err)
	}
	if l.while != 0 || l.now < 2*time.Hour {
		t.Errorf("%d parts while a level stood, done at %v", l.while, l.now)
	}
}

func TestAFarEndThatIsGoneIsGivenUp(t *testing.T) {
	l := &line{file: file(100_000), rate: 8000, breaks: func() bool { return true }}
	o := l.opts(int64(len(l.file)))
	if _, err := New(t.Context(), o).ReadAt(make([]byte, 10), 0); !errors.Is(err, ErrGone) || l.now < o.Patience {
		t.Error(err, l.now)
	}
	// A restart in the middle: what was read at one place goes on there.
	l = &line{file: file(100_000), rate: 8000}
	ctx, cancel := context.WithCancel(t.Context())
	o = l.opts(int64(len(l.file)))
	part := o.Part
	o.Part = func(ctx context.Context, at int64, n int) ([]byte, error) {
		if at > 50_000 {
			cancel()
		}
		return part(ctx, at, n)
	}
	f := New(ctx, o)
	if _, err := f.ReadAt(make([]byte, 100_000), 0); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// More than a part at the end of the file, and beyond it.
	f = New(t.Context(), l.opts(int64(len(l.file))))
	if n, err := f.ReadAt(make([]byte, 20), 99_990); n != 10 || err != io.EOF {
		t.Error(n, err)
	}
	if n, err := f.ReadAt(make([]byte, 20), 200_000); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
}
