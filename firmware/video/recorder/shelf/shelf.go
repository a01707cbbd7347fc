package shelf

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"tocsin/firmware/video/recorder"
)

// Opts are a shelf's. A zero field takes its default, where it has one.
type Opts struct {
	// Dir is where clips go, a folder a station.
	Dir string
	// Station says who asks, as a name for a folder; false refuses.
	Station func(*http.Request) (string, bool)
	// Quota bounds all clips together in bytes, Most one of them (the quota), Part one
	// request's part of it (1 MiB).
	Quota, Most, Part int64
	// Reserve is what stays free of the file system, in bytes.
	Reserve int64
	// Keep is for how long a whole clip is kept; zero until the room is used up.
	Keep time.Duration
	// Now is the wall clock (time.Now).
	Now func() time.Time
	// Arrived is told of every clip whose bytes give its hash, before the station is: an
	// error, and the station asks again.
	Arrived func(Entry) error
	// Gone is told of every whole clip that went.
	Gone func(Entry, Why)
	// Free gives the bytes that are free for us where dir is; nil asks the system.
	Free func(dir string) (int64, error)
}

// Entry is one clip.
type Entry struct {
	Station string        `json:"station"`
	Clip    recorder.Clip `json:"clip"` // without its pieces
	// Begun is when it was first heard of, Arrived when it was whole: zero, and it is not.
	Begun   time.Time `json:"begun"`
	Arrived time.Time `json:"arrived,omitzero"`
	// Bytes is how much of it there is.
	Bytes int64 `json:"-"`
}

// Whole says that the clip is all there and gives its hash.
func (e Entry) Whole() bool { return !e.Arrived.IsZero() }

// When is when the clip begins, as far as it is known: a station's clock that is ahead of
// the shelf's is not believed.
func (e Entry) When() time.Time {
	if b := e.Clip.Began; !b.IsZero() && b.Before(e.Begun) {
		return b
	}
	return e.Begun
}

// Why is why a clip went.
type Why int

// The reasons.
const (
	Room Why = iota // a newer one needed its room
	Age             // it was kept for as long as the county keeps clips
)

const (
	mostList  = 1 << 20 // of what a clip says of itself
	mostEach  = 2000    // clips of one station
	mostText  = 256     // of one of its words
	abandoned = 7 * 24 * time.Hour
)

// Shelf takes clips. Use Open, and mount it where "/{id}" is what is left of the path.
type Shelf struct {
	o Opts

	mu   sync.Mutex
	all  map[string]*Entry // by path
	busy map[string]bool
}

// Open reads what is there already.
func Open(o Opts) (*Shelf, error) {
	if o.Dir == "" || o.Quota <= 0 {
		return nil, errors.New("shelf: Dir and Quota are needed")
	}
	if o.Most <= 0 || o.Most > o.Quota {
		o.Most = o.Quota
	}
	if o.Part <= 0 {
		o.Part = 1 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Station == nil {
		o.Station = func(*http.Request) (string, bool) { return "", false }
	}
	if o.Arrived == nil {
		o.Arrived = func(Entry) error { return nil }
	}
	if o.Gone == nil {
		o.Gone = func(Entry, Why) {}
	}
	if o.Free == nil {
		o.Free = free
	}
	s := &Shelf{o: o, all: map[string]*Entry{}, busy: map[string]bool{}}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, err
	}
	return s, s.load()
}

func free(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// ServeHTTP is http.Handler's.
func (s *Shelf) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	station, ok := s.o.Station(q)
	if !ok || !plain(station) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	name, list := strings.CutSuffix(strings.TrimPrefix(q.URL.Path, "/"), ".json")
	if !plain(name) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	path := filepath.Join(s.o.Dir, station, name)
	if !s.take(path) {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer s.leave(path)
	var err error
	switch {
	case q.Method == http.MethodPut && list:
		err = s.begin(path, station, name, q)
	case q.Method == http.MethodPut:
		err = s.part(path, q)
	case q.Method == http.MethodHead && !list:
		err = s.have(w, path)
	default:
		err = status(http.StatusMethodNotAllowed)
	}
	var code status
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.As(err, &code):
		w.WriteHeader(int(code))
	case errors.Is(err, fs.ErrNotExist):
		w.WriteHeader(http.StatusNotFound)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// status is an answer that is no fault of the shelf's.
type status int

func (c status) Error() string { return http.StatusText(int(c)) }

// plain says that a name is safe in a path.
func plain(name string) bool {
	if name == "" || len(name) > 128 {
		return false
	}
	for i, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || i > 0 && (r == '-' || r == '_')) {
			return false
		}
	}
	return true
}

// take lets one request at a time to a clip.
func (s *Shelf) take(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[path] {
		return false
	}
	s.busy[path] = true
	return true
}

func (s *Shelf) leave(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, path)
}

// entry gives what is known of a clip.
func (s *Shelf) entry(path string) (Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.all[path]; e != nil {
		return *e, nil
	}
	return Entry{}, fs.ErrNotExist
}

// begin keeps what a clip says of itself, once there is room for it.
func (s *Shelf) begin(path, station, name string, q *http.Request) error {
	b, err := io.ReadAll(io.LimitReader(q.Body, mostList+1))
	if err != nil {
		return status(http.StatusBadRequest)
	}
	var c recorder.Clip
	sum, bad := []byte(nil), json.Unmarshal(b, &c)
	if bad == nil {
		sum, bad = hex.DecodeString(c.SHA256)
	}
	if bad != nil || len(b) > mostList || c.ID != name || c.Size <= 0 || len(sum) != sha256.Size || !shown(c.Stream) || !shown(c.Cause) || !shown(c.Boot) || !shown(c.Title.ZH) || !shown(c.Title.EN) {
		return status(http.StatusBadRequest)
	}
	if c.Size > s.o.Most {
		return status(http.StatusGone) // it never becomes smaller: the station need not ask again
	}
	if e, err := s.entry(path); err == nil && (e.Whole() || e.Clip.SHA256 == c.SHA256 && e.Clip.Size == c.Size) {
		return nil
	}
	c.SHA256 = hex.EncodeToString(sum) // in small letters
	c.Pieces, c.Delivered, c.Refused = nil, false, false
	e := Entry{Station: station, Clip: c, Begun: s.o.Now().UTC()}
	if err := s.room(path, e); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if err := os.Remove(path + ".part"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := write(path, e); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[path] = &e
	return nil
}

// shown says that a word of a station's may be shown to people.
func shown(word string) bool {
	return len(word) <= mostText && utf8.ValidString(word) && !strings.ContainsFunc(word, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// write keeps an entry so that a cut leaves the old or the new one.
func write(path string, e Entry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+".json.new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+".json.new", path+".json"), syncDir(filepath.Dir(path)))
}

// have answers how much there is. What is all there and has no hash yet, since a cut came
// between, gets it now.
func (s *Shelf) have(w http.ResponseWriter, path string) error {
	e, err := s.entry(path)
	if err != nil {
		return err
	}
	if !e.Whole() && e.Bytes == e.Clip.Size {
		if e, err = s.finish(path, e); err != nil && !errors.Is(err, errOther) {
			return err
		}
	}
	if e.Whole() {
		sum, err := hex.DecodeString(e.Clip.SHA256)
		if err != nil {
			return err
		}
		w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	}
	w.Header().Set("Upload-Offset", strconv.FormatInt(e.Bytes, 10))
	return nil
}

// part appends what a request brings, also of a body that breaks off.
func (s *Shelf) part(path string, q *http.Request) error {
	e, err := s.entry(path)
	if err != nil {
		return err
	}
	var from, to, all int64
	if _, err := fmt.Sscanf(q.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &all); err != nil ||
		from < 0 || to < from || to >= all || all != e.Clip.Size || q.ContentLength != to-from+1 || to-from+1 > s.o.Part {
		return status(http.StatusBadRequest)
	}
	if e.Whole() {
		return nil // it was whole, and the answer was lost
	}
	f, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return err
	}
	if from > i.Size() {
		return status(http.StatusConflict)
	}
	if err := f.Truncate(from); err != nil {
		return err
	}
	n, broken := io.Copy(io.NewOffsetWriter(f, from), io.LimitReader(q.Body, to-from+1))
	if err := f.Sync(); err != nil {
		return err
	}
	s.has(path, from+n)
	if broken != nil || from+n <= to {
		return status(http.StatusBadRequest) // whoever sent it has gone
	}
	if to+1 < all {
		return nil
	}
	if _, err = s.finish(path, e); errors.Is(err, errOther) {
		return status(http.StatusUnprocessableEntity) // from the begin
	}
	return err
}

// has notes how much of a clip there is.
func (s *Shelf) has(path string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.all[path]; e != nil {
		e.Bytes = n
	}
}

// errOther says that the bytes are not those whose hash the station told.
var errOther = errors.New("shelf: another hash")

// finish reads a clip back, has it written down, and gives it its last name. Other bytes
// than were told of are thrown away.
func (s *Shelf) finish(path string, e Entry) (Entry, error) {
	f, err := os.Open(path + ".part")
	if err != nil {
		return e, err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return e, err
	}
	if hex.EncodeToString(h.Sum(nil)) != e.Clip.SHA256 {
		s.has(path, 0)
		e.Bytes = 0
		return e, errors.Join(os.Remove(path+".part"), errOther)
	}
	whole := e
	whole.Arrived, whole.Bytes = s.o.Now().UTC(), e.Clip.Size
	if err := s.o.Arrived(whole); err != nil {
		return e, status(http.StatusServiceUnavailable)
	}
	if err := write(path, whole); err != nil {
		return e, err
	}
	if err := errors.Join(os.Rename(path+".part", path+".mp4"), syncDir(filepath.Dir(path))); err != nil {
		return e, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[path] = &whole
	return whole, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
