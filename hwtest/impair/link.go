package impair

import (
	"container/heap"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// Presets that fit what stations hang on.
var (
	Fibre     = Setting{Delay: 10 * time.Millisecond}
	Cellular  = Setting{Rate: 256e3, Delay: 80 * time.Millisecond, Jitter: 60 * time.Millisecond, Loss: 0.03, Burst: 4}
	Satellite = Setting{Rate: 256e3, Delay: 300 * time.Millisecond, Loss: 0.01}
	Worst     = Setting{Rate: 64e3, Delay: 600 * time.Millisecond, Loss: 0.05}
)

// Link is a bad link between real sockets. Use New.
type Link struct {
	began time.Time
	done  chan struct{}
	wg    sync.WaitGroup

	mu       sync.Mutex
	up, down *direction
	cut      bool
	closers  []io.Closer
	closed   bool
}

// direction is a way with what is under way on it.
type direction struct {
	l    *Link
	w    *Way
	due  arrivals
	wake chan struct{}
}

type arrival struct {
	at time.Duration
	do func()
	// air tells that it is a packet under way, which a cut takes.
	air bool
	n   uint64
}

// New starts a link: up is from who asks to who is asked.
func New(up, down Setting, seed uint64) *Link {
	l := &Link{began: time.Now(), done: make(chan struct{})}
	l.up = &direction{l: l, w: NewWay(up, seed), wake: make(chan struct{}, 1)}
	l.down = &direction{l: l, w: NewWay(down, seed+1), wake: make(chan struct{}, 1)}
	for _, d := range []*direction{l.up, l.down} {
		l.wg.Add(1)
		go d.run()
	}
	return l
}

// Now is the time since the link's start.
func (l *Link) Now() time.Duration { return time.Since(l.began) }

// Count gives what both directions have seen.
func (l *Link) Count() (up, down Count) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up.w.Count(), l.down.w.Count()
}

// Set changes both directions.
func (l *Link) Set(up, down Setting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up.w.Set(up)
	l.down.w.Set(down)
}

// Cut cuts or joins the link by hand; what is under way is lost.
func (l *Link) Cut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if !cut {
		return
	}
	for _, d := range []*direction{l.up, l.down} {
		d.due.all = slices.DeleteFunc(d.due.all, func(a arrival) bool {
			if a.air {
				d.w.count.Lost++
				d.w.count.Delivered--
			}
			return a.air
		})
		heap.Init(&d.due)
	}
}

// Dark plans a blackout in both directions, from the link's start.
func (l *Link) Dark(s Span) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up.w.Dark(s)
	l.down.w.Dark(s)
}

// Close ends it and its sockets.
func (l *Link) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.done)
	closers := l.closers
	l.mu.Unlock()
	for _, c := range closers {
		c.Close()
	}
	l.wg.Wait()
	return nil
}

// owns closes c with the link; false where the link is closed already.
func (l *Link) owns(c io.Closer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Close()
		return false
	}
	l.closers = append(l.closers, c)
	return true
}

func (l *Link) goes(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.wg.Add(1)
	go func() { defer l.wg.Done(); f() }()
}

// send gives a packet to the way; do is called for each copy that comes out. It tells whether any will.
func (d *direction) send(n int, do func()) bool {
	d.l.mu.Lock()
	defer d.l.mu.Unlock()
	now := d.l.Now()
	if d.l.cut {
		d.w.count.Packets++
		d.w.count.Bytes += int64(n)
		d.w.count.Lost++
		return false
	}
	out := d.w.Send(now, n)
	for _, at := range out {
		d.put(arrival{at: at, do: do, air: true})
	}
	return len(out) > 0
}

// after calls do later.
func (d *direction) after(wait time.Duration, do func()) {
	d.l.mu.Lock()
	defer d.l.mu.Unlock()
	d.put(arrival{at: d.l.Now() + wait, do: do})
}

func (d *direction) put(a arrival) {
	d.due.n++
	a.n = d.due.n
	heap.Push(&d.due, a)
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *direction) run() {
	defer d.l.wg.Done()
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		d.l.mu.Lock()
		wait := time.Hour
		var do func()
		if len(d.due.all) > 0 {
			if wait = d.due.all[0].at - d.l.Now(); wait <= 0 {
				do = heap.Pop(&d.due).(arrival).do
			}
		}
		d.l.mu.Unlock()
		if do != nil {
			do()
			continue
		}
		t.Reset(wait)
		select {
		case <-d.l.done:
			return
		case <-d.wake:
		case <-t.C:
		}
	}
}

// arrivals is a heap by time, and by order for equal ones.
type arrivals struct {
	all []arrival
	n   uint64
}

func (a *arrivals) Len() int { return len(a.all) }
func (a *arrivals) Less(i, j int) bool {
	return a.all[i].at < a.all[j].at || a.all[i].at == a.all[j].at && a.all[i].n < a.all[j].n
}
func (a *arrivals) Swap(i, j int) { a.all[i], a.all[j] = a.all[j], a.all[i] }
func (a *arrivals) Push(x any)    { a.all = append(a.all, x.(arrival)) }
func (a *arrivals) Pop() any {
	x := a.all[len(a.all)-1]
	a.all = a.all[:len(a.all)-1]
	return x
}

func loopback() *net.UDPAddr { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)} }
