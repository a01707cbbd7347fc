package page

import (
	"net/http"
	"strconv"
	"strings"

	"tocsin/firmware/phrase"
)

// langOf takes ?lang= (or the form's), then what the browser prefers, then
func langOf(r *http.Request) phrase.Lang {
	l := r.URL.Query().Get("lang")
	if l == "" && r.PostForm != nil {
		l = r.PostForm.Get("lang")
	}
	switch l {
	case "zh":
		return phrase.ZH
	case "en":
		return phrase.EN
	}
	return preferred(r.Header.Get("Accept-Language"))
}

// preferred reads an Accept-Language header (RFC 9110, 12.5.4); a reader of
// neither language gets Chinese.
func preferred(h string) phrase.Lang {
	if len(h) > 512 {
		h = h[:512]
	}
	best, lang := 0.0, phrase.ZH
	for part := range strings.SplitSeq(h, ",") {
		tag, rest, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(rest), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(v, 64); err != nil {
				continue
			}
		}
		base, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		if q <= best || q > 1 {
			continue
		}
		switch base {
		case "zh":
			best, lang = q, phrase.ZH
		case "en":
			best, lang = q, phrase.EN
		}
	}
	return lang
}
