package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"tocsin/configs"
	"tocsin/firmware/video/squeeze"
	"tocsin/hwtest/impair"
	"tocsin/hwtest/relay"
)

// squeezes are what happens to the link: how long it bears how much.
type squeezes []struct {
	bits int
	long time.Duration
}

// queueFor is how much a squeezed link holds before it drops: what waits longer than that on a link
// is old before it is there.
const (
	queueFor   = 300 * time.Millisecond
	queueLeast = 6000 // bytes: some packets of the usual size
	// group is how far the film's key pictures are apart.
	group = 2 * time.Second
)

// ladderGaps squeezes the link between a box that pushes and a county that takes, each as it
// is, and looks at what the county has to show: the longest time without a fresh picture while 64 kbit/s
// were there. A still counts as fresh only where it is of a picture newer than what was shown before.
func ladderGaps(b *bench) error {
	sq := squeezes{{8_000_000, 10 * time.Second}, {64_000, 14 * time.Second}, {0, 10 * time.Second}, {64_000, 14 * time.Second}, {8_000_000, 20 * time.Second}}
	if b.long {
		sq = squeezes{{8_000_000, 30 * time.Second}, {64_000, 60 * time.Second}, {0, 15 * time.Second}, {64_000, 60 * time.Second}, {8_000_000, 60 * time.Second}}
	}
	scenes := []scene{scene720, scene1080}
	out, errs := make([]squeezed, len(scenes)), make([]error, len(scenes))
	for _, s := range scenes { // ffmpeg makes what is missing before anything is timed
		if _, err := s.file(b); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	for i, s := range scenes {
		wg.Go(func() { out[i], errs[i] = b.squeeze(s, sq, uint64(b.seed)+uint64(i)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	worst, why := time.Duration(0), ""
	for i, s := range scenes {
		worst = max(worst, out[i].worst)
		why += fmt.Sprintf("%s: %.2f s %s, %d pictures and %d stills fresh, %s; ", s.name, out[i].worst.Seconds(), out[i].where, out[i].pictures, out[i].stills, out[i].again())
	}
	b.tellWhy("video.ladder_gap_s", worst.Seconds(), len(scenes), why+"load "+load())
	return nil
}

// squeezed is what was seen.
type squeezed struct {
	worst            time.Duration
	where            string // what the link and the ladder did then
	pictures, stills int
	back             time.Duration // from the link's return until pictures flow all the time; 0: they did not
	long             time.Duration // the link was back for
}

func (q *squeezed) again() string {
	if q.back == 0 {
		return fmt.Sprintf("not all of it again within the %.0f s after the link was back", q.long.Seconds())
	}
	return fmt.Sprintf("all of it again %.1f s after the link was back", q.back.Seconds())
}

// wait is a time without a fresh picture.
type wait struct{ from, to time.Duration }

// longWait is one that the bench's log names even where it is not the longest.
const longWait = 2500 * time.Millisecond

func (b *bench) squeeze(s scene, sq squeezes, seed uint64) (q squeezed, err error) {
	ctx, end := context.WithCancel(b.ctx)
	defer end()
	dir := filepath.Join(b.dir, "ladder-"+s.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return q, err
	}
	ffmpeg, err := watchedFFmpeg(dir)
	if err != nil {
		return q, err
	}
	rules, err := fs.ReadFile(configs.FS, "video.yaml")
	if err != nil {
		return q, err
	}
	rtsp, err := freeTCP()
	if err != nil {
		return q, err
	}
	both, err := squeeze.New(ctx, squeeze.Opts{RTSP: rtsp, Key: videoKey, FFmpeg: ffmpeg, Rules: string(rules), Log: benchLog{b, s.name}})
	if err != nil {
		return q, err
	}
	defer both.Close()
	link := impair.New(squeezedTo(sq[0].bits), impair.Setting{Delay: 30 * time.Millisecond}, seed)
	defer link.Close()
	way, err := link.WHIP(both.County())
	if err != nil {
		return q, err
	}
	file, err := s.file(b)
	if err != nil {
		return q, err
	}
	film, err := relay.Open(file)
	if err != nil {
		return q, err
	}
	table, err := relay.NewTable(filepath.Join(dir, "table"), len(film.Pictures))
	if err != nil {
		return q, err
	}
	go func() {
		for ctx.Err() == nil {
			film.Publish(ctx, "rtsp://"+rtsp+"/drone?key="+videoKey, sceneFPS, table)
			b.pause(200 * time.Millisecond)
		}
	}()

	if err := b.until("the box has the drone's picture", 20*time.Second, func() bool { return both.Filmed(ctx) }); err != nil {
		return q, err
	}
	if err := both.Push(ctx, way+"/whip"); err != nil {
		return q, err
	}
	// The link changes at another moment between two key pictures each time.
	if err := b.pause(time.Duration(rand.New(rand.NewPCG(seed, 1)).Int64N(int64(group)))); err != nil {
		return q, err
	}
	began := both.Now()
	all, said := both.Watch(ctx), both.Follow(ctx)
	var marks []time.Duration // when the link changed
	for i, p := range sq {
		if i > 0 {
			link.Cut(p.bits == 0)
			link.Set(squeezedTo(p.bits), impair.Setting{Delay: 30 * time.Millisecond})
		}
		marks = append(marks, both.Now())
		if err := b.pause(p.long); err != nil {
			return q, err
		}
	}
	done := both.Now()
	marks[0] = began
	q, waits, err := judge(sq, marks, done, all(), dir, both.Now())
	if err != nil {
		return q, err
	}
	pushes := said()
	for _, w := range waits {
		at := during(w, sq, marks, pushes)
		if w.to-w.from == q.worst {
			q.where = at
		}
		if w.to-w.from > longWait {
			b.log("%s: %.2f s %s%s", s.name, (w.to - w.from).Seconds(), at, account(w, pushes, marks[0]))
		}
	}
	return q, nil
}

// during names what the link did before a wait, and between which rungs it lay.
func during(w wait, sq squeezes, marks []time.Duration, said []squeeze.Push) string {
	i := 0
	for j, m := range marks {
		if m <= w.from {
			i = j
		}
	}
	link := rateName(sq[i].bits)
	if i > 0 {
		link = rateName(sq[i-1].bits) + " → " + link
	}
	rungs := ""
	for j, p := range said {
		if p.At > w.to {
			break
		}
		if next := j+1 < len(said); next && said[j+1].At <= w.from || rungs != "" && said[j-1].Rung == p.Rung {
			continue
		}
		if rungs != "" {
			rungs += " → "
		}
		rungs += strconv.Itoa(p.Rung)
	}
	return fmt.Sprintf("from %.1f s after %s, rung %s", (w.from - marks[i]).Seconds(), link, rungs)
}

func rateName(bits int) string {
	switch {
	case bits >= 1_000_000:
		return fmt.Sprintf("%d Mbit/s", bits/1_000_000)
	case bits > 0:
		return fmt.Sprintf("%d kbit/s", bits/1000)
	}
	return "nothing"
}

// account is what the box said of its push around a wait.
func account(w wait, said []squeeze.Push, began time.Duration) (all string) {
	told, rung := time.Duration(0), -1
	for _, p := range said {
		if p.At < w.from-time.Second || p.At > w.to+time.Second || p.Rung == rung && p.At-told < 400*time.Millisecond {
			continue
		}
		why := ""
		if p.Rung != rung {
			why = ": " + p.Why
		}
		told, rung = p.At, p.Rung
		all += fmt.Sprintf("\n  %6.1f rung %d budget %d estimate %d loss %.2f rtt %v%s", (p.At - began).Seconds(), p.Rung, p.Budget, p.Estimate, p.Loss, p.RTT.Round(time.Millisecond), why)
	}
	return fmt.Sprintf("\n  %6.1f … %.1f", (w.from-began).Seconds(), (w.to-began).Seconds()) + all
}

func squeezedTo(bits int) impair.Setting {
	return impair.Setting{Rate: float64(max(bits, 1000)), Delay: 30 * time.Millisecond, Queue: max(int(queueFor.Seconds()*float64(bits)/8), queueLeast)}
}

// judge finds the longest wait. All instants are of one clock.
func judge(sq squeezes, marks []time.Duration, done time.Duration, all []squeeze.Seen, dir string, now time.Duration) (q squeezed, waits []wait, err error) {
	// The source's clock against ours: the picture that was under way the shortest.
	var first, least time.Duration
	for i, v := range all {
		if v.Still != nil {
			continue
		}
		if d := v.At - v.Time; i == 0 || least == 0 || d < least {
			least = d
		}
	}
	for _, v := range all {
		if v.Key {
			first = v.Time + least
			break
		}
	}
	if first == 0 {
		return q, nil, errors.New("no key picture came")
	}
	made, err := madeOf(dir, now)
	if err != nil {
		return q, nil, err
	}
	shown, last := time.Duration(0), marks[0]
	waited := func(from, to time.Duration) {
		q.worst = max(q.worst, to-from)
		waits = append(waits, wait{from, to})
	}
	gap := func(from, to time.Duration) {
		for i, m := range marks { // the time that the link was away does not count
			if sq[i].bits == 0 && i+1 < len(marks) {
				if from >= m && from < marks[i+1] {
					from = marks[i+1]
				}
				if to >= m && to < marks[i+1] {
					to = m
				}
				if from < m && to >= marks[i+1] {
					waited(from, m)
					from = marks[i+1]
				}
			}
		}
		waited(from, to)
	}
	back := marks[len(marks)-1]
	flows, pictures := time.Duration(0), 0
	for _, v := range all {
		taken := v.Time + least
		if v.Still != nil {
			at := time.Duration(0)
			for _, m := range made[string(v.Still)] { // the film comes round: it is of the last time before it came
				if m < v.At {
					at = max(at, m)
				}
			}
			if at == 0 {
				return q, nil, errors.New("a still came that nobody made")
			}
			// It is of the last key picture that was there; the way to us is in first, not in at.
			taken = first + (at-first+100*time.Millisecond)/group*group
		}
		if taken <= shown {
			continue
		}
		gap(last, v.At)
		shown, last = taken, v.At
		if v.Still != nil {
			q.stills++
			continue
		}
		q.pictures++
		if v.At < back {
			continue
		}
		// Pictures flow where a second's worth of them came without a hole.
		if pictures == 0 || v.At-flows > 500*time.Millisecond {
			pictures = 0
		}
		flows = v.At
		if pictures++; pictures == 2*sceneFPS && q.back == 0 {
			q.back = v.At - back
		}
	}
	gap(last, done)
	q.long = done - back
	return q, waits, nil
}

// watchedFFmpeg is ffmpeg with a witness: what goes in and what comes out is kept.
func watchedFFmpeg(dir string) (string, error) {
	real, err := exec.LookPath("ffmpeg")
	if err != nil {
		return "", fmt.Errorf("no stills can be made here: %w", err)
	}
	file := filepath.Join(dir, "ffmpeg")
	return file, os.WriteFile(file, []byte("#!/bin/sh\nn='"+dir+"'/still.$$\n/bin/cat >\"$n.in\" && "+real+" \"$@\" <\"$n.in\" >\"$n.out\" && exec /bin/cat \"$n.out\"\n"), 0o755)
}

// madeOf says of each still when its key picture was given to ffmpeg.
func madeOf(dir string, now time.Duration) (map[string][]time.Duration, error) {
	files, err := filepath.Glob(filepath.Join(dir, "still.*.out"))
	if err != nil {
		return nil, err
	}
	made := map[string][]time.Duration{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		st, err := os.Stat(f[:len(f)-len("out")] + "in")
		if err != nil {
			return nil, err
		}
		at := now - time.Since(st.ModTime())
		made[string(b)] = append(made[string(b)], at)
	}
	return made, nil
}

// benchLog gives what a room says to the bench's log.
type benchLog struct {
	b    *bench
	name string
}

func (l benchLog) Write(p []byte) (int, error) {
	l.b.log("%s: %s", l.name, p)
	return len(p), nil
}
