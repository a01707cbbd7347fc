package config

import (
	"regexp"
	"slices"
	"strings"
)

// Secrets belong in files beside the document. Where somebody wrote one into it all the same, these
// are the ways in which it stands there.
var (
	inURL   = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://([^/\s"'@]+)@`)
	inQuery = regexp.MustCompile(`(?i)[?&](?:key|token|access_token|password|passwd|passphrase|pass|pw|pwd|secret|streamid)=([^&\s"'#}\]]+)`)
	inPEM   = regexp.MustCompile(`(?s)(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z))`)
	byKey   = regexp.MustCompile(`(?im)(?:^|[\s{,])(?:password|passwd|passphrase|secret|token|seed|psk|root|key|view|certificate_key|api_?key)[ \t]*:[ \t]+(?:"([^"\n]*)"|'([^'\n]*)'|([^\s,}\]#"'{[|>&*!][^\s,}\]#]*))`)
)

// Secrets gives where in a document secrets stand, as offsets, in order and apart. A name of a
// file, which has a “/” or a “.”, is none.
func Secrets(text string) [][2]int {
	var all [][2]int
	take := func(re *regexp.Regexp, is func(string) bool) {
		for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
			for i := 2; i < len(m); i += 2 {
				if m[i] >= 0 && m[i+1] > m[i] && is(text[m[i]:m[i+1]]) {
					all = append(all, [2]int{m[i], m[i+1]})
				}
			}
		}
	}
	any := func(string) bool { return true }
	take(inURL, any)
	take(inQuery, any)
	take(inPEM, any)
	take(byKey, func(v string) bool {
		return !strings.ContainsAny(v, "/.") && v != "true" && v != "false" && v != "null"
	})
	slices.SortFunc(all, func(a, b [2]int) int { return a[0] - b[0] })
	out := all[:0]
	for _, x := range all {
		if n := len(out); n > 0 && x[0] < out[n-1][1] {
			out[n-1][1] = max(out[n-1][1], x[1])
			continue
		}
		out = append(out, x)
	}
	return out
}

// Hide gives a text for people without what is secret in it.
func Hide(text string) string {
	return HideWith(text, func(string) string { return "***" })
}

// HideWith gives a text with each secret replaced by what by gives for it.
func HideWith(text string, by func(secret string) string) string {
	spans := Secrets(text)
	if len(spans) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, x := range spans {
		b.WriteString(text[at:x[0]] + by(text[x[0]:x[1]]))
		at = x[1]
	}
	return b.String() + text[at:]
}
