// Package shelf is the other end of a recorder's clips: it takes them by parts over HTTP,
// keeps what has arrived through a break or a power cut, and names the hash of the
// whole only once it has read it from its own disk. It is for the county's server and
// for tests; the protocol is told at recorder.HTTPSink.
//
// It never overwrites a clip that it has whole, takes no clip larger than it was told,
// and keeps stations apart by the folder that its owner names for a request.
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

	"tocsin/firmware/video/recorder"
)

// Shelf takes clips. Mount it where "/{id}" is what is left of the path.
type Shelf struct {
	// Dir is where clips go, a folder a station.
	Dir string
	// Station says who asks, as a name for a folder; false refuses.
	Station func(*http.Request) (string, bool)
	// Most bounds a clip in bytes, Part one request's part of it.
	Most, Part int64
	// Arrived is told of every clip that is whole, and of its file.
	Arrived func(station string, c recorder.Clip, path string)

	mu   sync.Mutex
	busy map[string]bool
}

const mostList = 1 << 20 // of what a clip says of itself

// ServeHTTP is http.Handler's.
func (s *Shelf) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	station, ok := s.Station(q)
	if !ok || !plain(station) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	name, list := strings.CutSuffix(strings.TrimPrefix(q.URL.Path, "/"), ".json")
	if !plain(name) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	path := filepath.Join(s.Dir, station, name)
	if !s.take(path) {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer s.leave(path)
	var err error
	switch {
	case q.Method == http.MethodPut && list:
		err = s.begin(path, name, q)
	case q.Method == http.MethodPut:
		err = s.part(path, station, q)
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
	if s.busy == nil {
		s.busy = map[string]bool{}
	}
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

// begin keeps what a clip says of itself.
func (s *Shelf) begin(path, name string, q *http.Request) error {
	b, err := io.ReadAll(io.LimitReader(q.Body, mostList+1))
	if err != nil {
		return status(http.StatusBadRequest)
	}
	var c recorder.Clip
	sum, bad := []byte(nil), json.Unmarshal(b, &c)
	if bad == nil {
		sum, bad = hex.DecodeString(c.SHA256)
	}
	if bad != nil || len(b) > mostList || c.ID != name || c.Size <= 0 || len(sum) != sha256.Size {
		return status(http.StatusBadRequest)
	}
	if c.Size > s.Most {
		return status(http.StatusGone) // it never becomes smaller: the station need not ask again
	}
	if _, err := os.Stat(path + ".mp4"); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
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

func (s *Shelf) list(path string) (c recorder.Clip, err error) {
	b, err := os.ReadFile(path + ".json")
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	return c, err
}

// have answers how much there is. A whole clip is whole only under its last name, which
// it gets once its hash was read back.
func (s *Shelf) have(w http.ResponseWriter, path string) error {
	c, err := s.list(path)
	if err != nil {
		return err
	}
	n := int64(0)
	if i, err := os.Stat(path + ".mp4"); err == nil {
		sum, err := hex.DecodeString(c.SHA256)
		if err != nil {
			return err
		}
		n = i.Size()
		w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	} else if i, err := os.Stat(path + ".part"); err == nil {
		n = i.Size()
	}
	w.Header().Set("Upload-Offset", strconv.FormatInt(n, 10))
	return nil
}

// part appends what a request brings, also of a body that breaks off.
func (s *Shelf) part(path, station string, q *http.Request) error {
	c, err := s.list(path)
	if err != nil {
		return err
	}
	var from, to, all int64
	if _, err := fmt.Sscanf(q.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &all); err != nil ||
		from < 0 || to < from || to >= all || all != c.Size || q.ContentLength != to-from+1 || to-from+1 > s.Part {
		return status(http.StatusBadRequest)
	}
	if _, err := os.Stat(path + ".mp4"); err == nil {
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
	if broken != nil || from+n <= to {
		return status(http.StatusBadRequest) // whoever sent it has gone
	}
	if to+1 < all {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, all)); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != c.SHA256 {
		return errors.Join(os.Remove(path+".part"), status(http.StatusConflict)) // from the begin
	}
	if err := errors.Join(os.Rename(path+".part", path+".mp4"), syncDir(filepath.Dir(path))); err != nil {
		return err
	}
	if s.Arrived != nil {
		s.Arrived(station, c, path+".mp4")
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
