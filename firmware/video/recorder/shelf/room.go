package shelf

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/video/recorder"
)

// load reads what is there: a clip is whole where its last file is. What a cut left over is
// cleared away.
func (s *Shelf) load() error {
	stations, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return err
	}
	for _, d := range stations {
		if !d.IsDir() || !plain(d.Name()) {
			continue
		}
		files, err := os.ReadDir(filepath.Join(s.o.Dir, d.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			at := filepath.Join(s.o.Dir, d.Name(), f.Name())
			name, ext, _ := strings.Cut(f.Name(), ".")
			path := filepath.Join(s.o.Dir, d.Name(), name)
			if ext != "json" {
				if _, err := os.Stat(path + ".json"); ext == "json.new" || errors.Is(err, fs.ErrNotExist) && (ext == "mp4" || ext == "part") {
					_ = os.Remove(at)
				}
				continue
			}
			b, err := os.ReadFile(at)
			var e Entry
			if err != nil || json.Unmarshal(b, &e) != nil || e.Clip.ID != name || e.Station != d.Name() {
				continue // nobody else's to touch
			}
			if i, err := os.Stat(path + ".mp4"); err == nil {
				e.Bytes = i.Size()
				if e.Arrived.IsZero() {
					e.Arrived = i.ModTime().UTC()
				}
			} else {
				e.Arrived = time.Time{}
				if i, err := os.Stat(path + ".part"); err == nil {
					e.Bytes = min(i.Size(), e.Clip.Size)
				}
			}
			s.all[path] = &e
		}
	}
	return nil
}

// List gives the clips, the newest alarm's first.
func (s *Shelf) List() []Entry {
	s.mu.Lock()
	out := make([]Entry, 0, len(s.all))
	for _, e := range s.all {
		out = append(out, *e)
	}
	s.mu.Unlock()
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(b.When().Compare(a.When()), cmp.Compare(a.Station, b.Station), cmp.Compare(a.Clip.ID, b.Clip.ID))
	})
	return out
}

// Of gives one whole clip.
func (s *Shelf) Of(station, id string) (Entry, bool) {
	e, err := s.entry(filepath.Join(s.o.Dir, station, id))
	return e, err == nil && e.Whole()
}

// Film opens a clip for a player.
func (s *Shelf) Film(station, id string) (*recorder.Film, error) {
	if e, ok := s.Of(station, id); ok {
		return recorder.OpenClip(filepath.Join(s.o.Dir, e.Station, e.Clip.ID) + ".mp4")
	}
	return nil, fs.ErrNotExist
}

// File opens a clip's bytes as they were sent: the evidence.
func (s *Shelf) File(station, id string) (*os.File, error) {
	if e, ok := s.Of(station, id); ok {
		return os.Open(filepath.Join(s.o.Dir, e.Station, e.Clip.ID) + ".mp4")
	}
	return nil, fs.ErrNotExist
}

// Used is how many bytes the clips take, those that are still to come included, and how
// many they may.
func (s *Shelf) Used() (used, quota int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.all {
		used += e.Clip.Size
	}
	return used, s.o.Quota
}

// room makes room for a clip that begins.
func (s *Shelf) room(path string, e Entry) error {
	for {
		victim, fits := s.victim(path, e)
		if fits {
			break
		}
		if victim == "" {
			return status(http.StatusGone)
		}
		s.drop(victim, Room)
	}
	n, err := s.o.Free(s.o.Dir)
	if err != nil {
		return err
	}
	if n < e.Clip.Size+s.o.Reserve {
		return status(http.StatusInsufficientStorage) // others fill the disk: later
	}
	return nil
}

// victim names the clip that is to go for a new one; none, where the new one is what is
// wanted least. fits says that there is room.
func (s *Shelf) victim(path string, e Entry) (victim string, fits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sums, counts, used := map[string]int64{e.Station: e.Clip.Size}, map[string]int{e.Station: 1}, e.Clip.Size
	for p, o := range s.all {
		if p == path {
			continue
		}
		sums[o.Station] += o.Clip.Size
		counts[o.Station]++
		used += o.Clip.Size
	}
	many := counts[e.Station] > mostEach
	if used <= s.o.Quota && !many {
		return "", true
	}
	var stations []string
	for n := range sums {
		if !many || n == e.Station {
			stations = append(stations, n)
		}
	}
	slices.SortFunc(stations, func(a, b string) int { return cmp.Or(cmp.Compare(sums[b], sums[a]), cmp.Compare(a, b)) })
	for _, n := range stations {
		oldest := ""
		for p, o := range s.all {
			if o.Station == n && p != path && !s.busy[p] && (oldest == "" || o.When().Before(s.all[oldest].When())) {
				oldest = p
			}
		}
		if oldest != "" && (n != e.Station || s.all[oldest].When().Before(e.When())) {
			return oldest, false
		}
		if n == e.Station {
			return "", false // its own are all newer, and others that hold less need not give way
		}
	}
	return "", false
}

// Prune lets go what was kept long enough, and parts that nobody goes on with.
func (s *Shelf) Prune() {
	now := s.o.Now()
	s.mu.Lock()
	var old []string
	for p, e := range s.all {
		if !s.busy[p] && (e.Whole() && s.o.Keep > 0 && now.Sub(e.Arrived) >= s.o.Keep || !e.Whole() && now.Sub(e.Begun) >= abandoned) {
			old = append(old, p)
		}
	}
	s.mu.Unlock()
	slices.Sort(old)
	for _, p := range old {
		s.drop(p, Age)
	}
}

// drop removes a clip: its bytes first, so that nothing is left that nobody knows of.
func (s *Shelf) drop(path string, why Why) {
	if !s.take(path) {
		return
	}
	defer s.leave(path)
	e, err := s.entry(path)
	if err != nil {
		return
	}
	for _, ext := range []string{".mp4", ".part", ".json"} {
		_ = os.Remove(path + ext) // what cannot be removed now is counted no more, and found at the next start
	}
	s.mu.Lock()
	delete(s.all, path)
	s.mu.Unlock()
	if e.Whole() {
		s.o.Gone(e, why)
	}
}
