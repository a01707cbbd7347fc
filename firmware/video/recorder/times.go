package recorder

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"tocsin/firmware/clock"
)

// times says which boot began when: UTC at its monotonic zero.
type times map[string]bootTime

type bootTime struct {
	Began time.Time   `json:"began"`
	Trust clock.Trust `json:"trust"`
	// Order is of the first segment after which this was known; it only sorts.
	Order uint64 `json:"order"`
}

const (
	mostBoots = 256
	timesFile = "times.json"
	sameTime  = time.Second // by how much a boot's begin may wander before it is written anew
)

// learn takes what a label knows.
func (t times) learn(l label) {
	if l.wall.IsZero() || l.trust == clock.Free {
		return
	}
	if known, ok := t[l.boot]; !ok || l.trust > known.Trust {
		t[l.boot] = bootTime{l.wall.Add(-l.from), l.trust, l.order}
	}
}

// utc maps a time since a boot; false where nobody knows.
func (t times) utc(boot string, mono time.Duration) (time.Time, clock.Trust, bool) {
	b, ok := t[boot]
	if !ok {
		return time.Time{}, clock.Free, false
	}
	return b.Began.Add(mono), b.Trust, true
}

// loadTimes reads the file; one that does not read is as none: the labels know too.
func loadTimes(dir string) times {
	t := times{}
	b, err := os.ReadFile(filepath.Join(dir, timesFile))
	if err != nil || len(b) > 1<<20 || json.Unmarshal(b, &t) != nil || len(t) > mostBoots {
		return times{}
	}
	return t
}

// note keeps when this boot began, once the clock is trusted and whenever it is found
// to be another hour: what was recorded before is then known too, also after a cut.
func (k *keeper) note(now clock.Stamp) {
	if now.Trust == clock.Free {
		return
	}
	began := now.Wall.Add(-now.Mono).UTC()
	k.r.mu.Lock()
	known, ok := k.r.times[now.Boot]
	off := began.Sub(known.Began)
	if ok && known.Trust >= now.Trust && (off.Abs() < sameTime || known.Trust > now.Trust) {
		k.r.mu.Unlock()
		return
	}
	k.r.times[now.Boot] = bootTime{began, now.Trust, k.order}
	for len(k.r.times) > mostBoots {
		oldest := ""
		for b, t := range k.r.times {
			if b != now.Boot && (oldest == "" || t.Order < k.r.times[oldest].Order) {
				oldest = b
			}
		}
		delete(k.r.times, oldest)
	}
	b, err := json.Marshal(k.r.times)
	k.r.mu.Unlock()
	if err == nil {
		err = k.r.replace(filepath.Join(k.r.o.Dir, timesFile), b)
	}
	if err != nil {
		k.r.o.Log.Warn("recorder: the boot's time could not be kept", "err", err)
	}
}

// replace writes a small file so that a cut leaves the old or the new one.
func (r *Recorder) replace(path string, b []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	err = errors.Join(r.o.disk.write(f, b, 0), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	return syncDir(filepath.Dir(path))
}
