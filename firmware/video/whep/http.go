package whep

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// Status is the HTTP status of an error of this room (RFC 9725 4.2).
func Status(err error) int {
	switch {
	case errors.Is(err, ErrBusy):
		return http.StatusServiceUnavailable
	case errors.Is(err, ErrNoPicture):
		return http.StatusNotFound
	case errors.Is(err, ErrCodec):
		return http.StatusNotAcceptable
	case errors.Is(err, ErrOffer):
		return http.StatusBadRequest
	case errors.Is(err, stream.ErrTaken):
		return http.StatusConflict
	}
	return http.StatusForbidden
}

// Offer reads an offer from a request: SDP of at most 64 KiB.
func Offer(r *http.Request) (string, error) {
	if ct, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(ct), "application/sdp") {
		return "", phrase.Wrap(ErrOffer, "whep.content_type")
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return "", phrase.Wrap(ErrOffer, "whep.offer", "detail", err.Error())
	}
	if len(b) > MaxBody {
		return "", phrase.Wrap(ErrOffer, "whep.too_long", "most", "65536")
	}
	return string(b), nil
}

// Answer writes what an offer got: 201 with the session's address, below that of the
// request, or the error with its reason in Chinese and English.
func Answer(w http.ResponseWriter, answer string, v *Session, base string, err error) {
	if err != nil {
		if errors.Is(err, ErrBusy) {
			w.Header().Set("Retry-After", "5")
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(Status(err))
		io.WriteString(w, phrase.In(err, phrase.ZH)+"\n"+phrase.In(err, phrase.EN)+"\n")
		return
	}
	w.Header().Set("Content-Type", "application/sdp")
	w.Header().Set("Location", base+"/"+v.ID())
	w.Header().Set("Access-Control-Expose-Headers", "Location")
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, answer)
}

// End ends the session that the address names (RFC 9725 4.2: DELETE); trickle and
// restarts (PATCH) are not taken: candidates are all in the answer, and who moves
// offers anew.
func (s *Server) End(w http.ResponseWriter, r *http.Request, id string) {
	switch r.Method {
	case http.MethodDelete:
		v := s.Session(id)
		if v == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		v.Close()
		w.WriteHeader(http.StatusOK)
	case http.MethodPatch:
		w.Header().Set("Allow", "DELETE, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
	default:
		w.Header().Set("Allow", "DELETE, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}
