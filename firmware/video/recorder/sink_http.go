package recorder

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// HTTPSink sends clips to a server (package shelf is one):
//
//	HEAD base/id        how much it has: Upload-Offset; Repr-Digest once it has all
//	PUT  base/id.json   what the clip is, where it has nothing yet
//	PUT  base/id        a part: Content-Range, and Repr-Digest of the whole
//
// A digest is SHA-256 (RFC 9530). 410 says that the clip is not wanted, 422 that all of it is there and gives
// another hash.
type HTTPSink struct {
	Base   string // https://host/path
	Client *http.Client
	// Authorize adds the station's credentials to a request; nil adds none.
	Authorize func(*http.Request) error
}

var _ Sink = (*HTTPSink)(nil)

// Have is Sink's.
func (s *HTTPSink) Have(ctx context.Context, c Clip) (Held, error) {
	a, err := s.ask(ctx, http.MethodHead, c.ID, nil, 0, nil)
	if err != nil {
		return Held{}, err
	}
	switch a.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		h := Held{SHA256: digest(a.Header.Get("Repr-Digest"))}
		h.Bytes, err = strconv.ParseInt(a.Header.Get("Upload-Offset"), 10, 64)
		if err != nil || h.Bytes < 0 {
			return Held{}, errors.New("recorder: the other end does not say how much it has")
		}
		return h, nil
	case http.StatusNotFound:
		b, err := json.Marshal(c)
		if err != nil {
			return Held{}, err
		}
		a, err := s.ask(ctx, http.MethodPut, c.ID+".json", bytes.NewReader(b), int64(len(b)), http.Header{"Content-Type": {"application/json"}})
		if err == nil {
			err = status(a)
		}
		return Held{}, err
	}
	return Held{}, status(a)
}

// Put is Sink's.
func (s *HTTPSink) Put(ctx context.Context, c Clip, offset, n int64, r io.Reader) error {
	sum, err := hex.DecodeString(c.SHA256)
	if err != nil {
		return err
	}
	a, err := s.ask(ctx, http.MethodPut, c.ID, r, n, http.Header{
		"Content-Type":  {"video/mp4"},
		"Content-Range": {fmt.Sprintf("bytes %d-%d/%d", offset, offset+n-1, c.Size)},
		"Repr-Digest":   {"sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"},
	})
	if err != nil {
		return err
	}
	return status(a)
}

func (s *HTTPSink) ask(ctx context.Context, method, name string, body io.Reader, n int64, h http.Header) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.Base, "/")+"/"+url.PathEscape(name), body)
	if err != nil {
		return nil, err
	}
	q.ContentLength = n
	for k, v := range h {
		q.Header[k] = v
	}
	if s.Authorize != nil {
		if err := s.Authorize(q); err != nil {
			return nil, err
		}
	}
	a, err := s.Client.Do(q)
	if err != nil {
		return nil, err
	}
	// What it says is in its head; a little of the rest is read so that the connection serves again.
	_, _ = io.CopyN(io.Discard, a.Body, 4096)
	return a, a.Body.Close()
}

func status(a *http.Response) error {
	switch {
	case a.StatusCode/100 == 2:
		return nil
	case a.StatusCode == http.StatusGone:
		return ErrRefused
	case a.StatusCode == http.StatusUnprocessableEntity:
		return fmt.Errorf("HTTP %d: %w", a.StatusCode, errWrong)
	}
	return fmt.Errorf("HTTP %d", a.StatusCode)
}

// digest reads a SHA-256 from a Repr-Digest field, as hex; empty where there is none.
func digest(field string) string {
	for _, p := range strings.Split(field, ",") {
		v, ok := strings.CutPrefix(strings.TrimSpace(p), "sha-256=:")
		if !ok || !strings.HasSuffix(v, ":") {
			continue
		}
		if b, err := base64.StdEncoding.DecodeString(v[:len(v)-1]); err == nil && len(b) == 32 {
			return hex.EncodeToString(b)
		}
	}
	return ""
}
