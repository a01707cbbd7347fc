package inbox

import (
	"encoding/hex"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// kind is what a file's name says that it holds.
type kind uint8

const (
	other kind = iota
	command
	alert
)

const (
	alertEnd   = ".xml"
	commandEnd = ".dsse.json"
	whyEnd     = ".why.txt"
	nameMost   = 255 // NAME_MAX of Linux
)

// kindOf tells by the end of a name; case does not count, since sticks come from
// machines that write capitals. A name that begins with a dot is hidden or still
// being copied.
func kindOf(name string) kind {
	low := strings.ToLower(name)
	switch {
	case strings.HasPrefix(name, ".") || strings.ContainsRune(name, '/') || len(name) > nameMost:
		return other
	case strings.HasSuffix(low, commandEnd):
		return command
	case strings.HasSuffix(low, alertEnd):
		return alert
	}
	return other
}

const stampForm = "20060102T150405Z"

// keptName is a judged file's in done/ or refused/: when, which content, and what
// it was called. It sorts by time, and nobody gives such a name by chance, so
// that only what the box judged is ever tidied away.
func keptName(at time.Time, d digest, name string) string {
	if at.Year() < 1970 || at.Year() > 9999 {
		at = time.Unix(0, 0)
	}
	if old, ok := parseKept(name); ok {
		name = old // it was moved back to be judged again
	}
	name = strings.TrimLeft(name, ".")
	head := at.UTC().Format(stampForm) + "-" + hex.EncodeToString(d[:8]) + "-"
	if over := len(head) + len(name) + len(whyEnd) - nameMost; over > 0 {
		end := alertEnd
		if kindOf(name) == command {
			end = commandEnd
		}
		stem := name[:max(0, min(len(name)-len(end), len(name)-over-len(end)))]
		for len(stem) > 0 && utf8.ValidString(name) && !utf8.ValidString(stem) {
			stem = stem[:len(stem)-1]
		}
		name = stem + end
	}
	return head + name
}

// parseKept gives what a judged file was called.
func parseKept(name string) (string, bool) {
	const head = len(stampForm) + 1 + 16 + 1
	if len(name) <= head || name[len(stampForm)] != '-' || name[head-1] != '-' {
		return "", false
	}
	if _, err := time.Parse(stampForm, name[:len(stampForm)]); err != nil {
		return "", false
	}
	sum := name[len(stampForm)+1 : head-1]
	if _, err := hex.DecodeString(sum); err != nil || sum != strings.ToLower(sum) {
		return "", false
	}
	return name[head:], kindOf(name[head:]) != other
}

// shown makes a foreign name fit for a page and a log.
func shown(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
	if r := []rune(name); len(r) > 80 {
		name = string(r[:80]) + "…"
	}
	return name
}
