package bundle

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Removed stands where a secret stood.
const Removed = "[removed]"

// Scrubber takes secrets out of texts. Use NewScrubber.
type Scrubber struct {
	plain  *strings.Replacer
	spaced []*regexp.Regexp // short codes, however they are grouped
}

// leastSecret is how short a secret may be that is looked for by itself: anything
// shorter is in every text.
const leastSecret = 6

// NewScrubber makes one of the contents of secret files.
func NewScrubber(files [][]byte) *Scrubber {
	forms := map[string]bool{}
	s := &Scrubber{}
	for _, b := range files {
		for _, w := range words(b) {
			for _, f := range written(w) {
				if len(f) >= leastSecret {
					forms[f] = true
				}
			}
			if code := strings.NewReplacer("-", "", " ", "").Replace(string(w)); len(code) >= leastSecret && len(code) <= 40 && isCode(code) {
				s.spaced = append(s.spaced, regexp.MustCompile(`(?i)`+strings.Join(strings.Split(code, ""), `[- ]?`)))
			}
		}
	}
	var pairs []string
	for f := range forms {
		pairs = append(pairs, f)
	}
	// The longest first: a part must not be taken out of the whole.
	slices.SortFunc(pairs, func(a, b string) int { return len(b) - len(a) })
	var list []string
	for _, f := range pairs {
		list = append(list, f, Removed)
	}
	s.plain = strings.NewReplacer(list...)
	return s
}

// words are what of a secret file may stand elsewhere: all of it, its lines, and the long
// strings of it where it is JSON.
func words(b []byte) [][]byte {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return nil
	}
	var v any
	if (b[0] == '{' || b[0] == '[') && json.Unmarshal(b, &v) == nil {
		return longStrings(v)
	}
	out := [][]byte{b}
	for line := range bytes.Lines(b) {
		line = bytes.TrimSpace(line)
		if len(line) >= leastSecret && !bytes.HasPrefix(line, []byte("-----")) {
			out = append(out, line)
			if raw, err := base64.StdEncoding.DecodeString(string(line)); err == nil && len(raw) >= 16 {
				out = append(out, raw)
			}
			// user:password, name password
			for _, part := range bytes.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ':' || r == '=' || r == '\t' }) {
				if len(part) >= leastSecret && len(part) < len(line) {
					out = append(out, part)
				}
			}
		}
	}
	return out
}

func longStrings(v any) (out [][]byte) {
	switch x := v.(type) {
	case string:
		if len(x) >= 10 {
			out = append(out, []byte(x))
		}
	case []any:
		for _, y := range x {
			out = append(out, longStrings(y)...)
		}
	case map[string]any:
		for _, y := range x {
			out = append(out, longStrings(y)...)
		}
	}
	return out
}

// written gives the ways in which a secret may stand in a text.
func written(b []byte) []string {
	s := string(b)
	j, _ := json.Marshal(s)
	out := []string{s, base64.StdEncoding.EncodeToString(b), base64.RawStdEncoding.EncodeToString(b), base64.URLEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b),
		hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), url.QueryEscape(s), url.PathEscape(s), strings.Trim(string(j), `"`)}
	if raw, err := hex.DecodeString(s); err == nil && len(raw) >= 8 {
		out = append(out, string(raw), strings.ToUpper(s), strings.ToLower(s), base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw))
	}
	return out
}

func isCode(s string) bool {
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// What is taken for a secret wherever it stands.
var (
	inURL   = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s"'@]+@`)
	inQuery = regexp.MustCompile(`(?i)([?&](?:key|token|password|passwd|pass|pw|secret|streamid)=)[^&\s"']+`)
	inKey   = regexp.MustCompile(`(?i)((?:password|passwd|secret|token|passphrase|api_?key)["']?\s*[:=]\s*)(?:"[^"\n]*"|'[^'\n]*'|[^\s,}\]]+)`)
	inPEM   = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`)
	bearer  = regexp.MustCompile(`(?i)(bearer\s+)[A-Za-z0-9._~+/=-]{8,}`)
)

// Scrub gives a text without what is secret in it.
func (s *Scrubber) Scrub(t string) string {
	t = inPEM.ReplaceAllString(t, Removed)
	t = s.plain.Replace(t)
	for _, r := range s.spaced {
		t = r.ReplaceAllString(t, Removed)
	}
	t = inURL.ReplaceAllString(t, "${1}"+Removed+"@")
	t = inQuery.ReplaceAllString(t, "${1}"+Removed)
	t = inKey.ReplaceAllString(t, "${1}"+Removed)
	return bearer.ReplaceAllString(t, "${1}"+Removed)
}
