package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed dist/station
var station embed.FS

// Station serves the box's console below a path such as /console/.
func Station(at string) http.Handler { return Serve(at, built(station, "dist/station")) }

// built is the folder of one console; a program holds only those that it serves, since what is
// never named the linker leaves out.
func built(files embed.FS, dir string) fs.FS {
	sub, err := fs.Sub(files, dir)
	if err != nil { // a name that is not valid: a mistake of this package
		return files
	}
	return sub
}

const (
	index       = "index.html"
	placeholder = "placeholder.html"
)

var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp", ".txt": "text/plain; charset=utf-8",
}

// Serve answers with the files of one built console, each kept as NAME.gz.
func Serve(at string, files fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "GET only", http.StatusMethodNotAllowed)
			return
		}
		name := strings.TrimPrefix(r.URL.Path, at)
		if name == "" {
			name = index
		}
		ct := types[path.Ext(name)]
		if !fs.ValidPath(name) || ct == "" {
			http.NotFound(w, r)
			return
		}
		packed, err := fs.ReadFile(files, name+".gz")
		if err != nil && name == index {
			name = placeholder
			packed, err = fs.ReadFile(files, name)
			if err == nil {
				w.Header().Set("Content-Type", ct)
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(packed))
				return
			}
		}
		if err != nil {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", ct)
		h.Add("Vary", "Accept-Encoding")
		sum := sha256.Sum256(packed)
		tag := hex.EncodeToString(sum[:8])
		if strings.HasPrefix(name, "assets/") {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			h.Set("Cache-Control", "no-cache")
		}
		if takesGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			h.Set("ETag", `"`+tag+`-gz"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(packed))
			return
		}
		plain, err := unpack(packed)
		if err != nil {
			http.Error(w, "damaged", http.StatusInternalServerError)
			return
		}
		h.Set("ETag", `"`+tag+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(plain))
	})
}

func unpack(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// takesGzip reads Accept-Encoding (RFC 9110, 12.5.3); who says nothing gets plain files.
func takesGzip(h string) bool {
	for part := range strings.SplitSeq(h, ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if n := strings.ToLower(strings.TrimSpace(name)); n == "gzip" || n == "*" {
			q = strings.ReplaceAll(q, " ", "")
			return q != "q=0" && strings.Trim(q, "q=0.") != "" || q == ""
		}
	}
	return false
}
