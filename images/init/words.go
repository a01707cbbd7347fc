package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// lastWords finds, in what the kernel kept over a reset, the line that says why it ended:
// a panic, an oops, a stop by the watchdog, or the end of init. "" where nothing was kept.
// The console's text is that of the boot right before; a record of a panic stays until
// somebody takes it away, and may be of any boot: it counts only where no console is kept.
func lastWords(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "console-ramoops*"))
	if len(files) == 0 {
		files, _ = filepath.Glob(filepath.Join(dir, "*ramoops*"))
	}
	best := ""
	for _, f := range files {
		t, err := os.ReadFile(f)
		if err != nil || len(t) > 4<<20 {
			continue
		}
		if w := wordsIn(string(t)); w != "" {
			best = w
		}
	}
	return best
}

// kept gives what the kernel kept over a reset: each of its texts, the end of it, with its name.
func kept(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "*ramoops*"))
	var b strings.Builder
	for _, f := range files {
		t, err := os.ReadFile(f)
		if err != nil || len(t) > 4<<20 {
			continue
		}
		b.WriteString(filepath.Base(f) + ":\n")
		b.WriteString(strings.ToValidUTF8(string(t[max(0, len(t)-keptOfEach):]), "?") + "\n")
		if b.Len() > keptMost {
			break
		}
	}
	return b.String()
}

// What is given of each, and of all: an answer on the socket has its bounds.
const (
	keptOfEach = 64 << 10
	keptMost   = 128 << 10
)

var fatal = regexp.MustCompile(`Kernel panic|Internal error|Unable to handle|Out of memory|watchdog|panic: |fatal error: |edged ended|not proved that it is alive`)

// quoting begins the line with which init tells the last words of a boot before: in what
// that boot left they are nobody's last words.
const quoting = "the last words of a boot before this one: "

func wordsIn(text string) string {
	words := ""
	for l := range strings.Lines(text) {
		if fatal.MatchString(l) && !strings.Contains(l, "init: "+quoting) {
			words = clean(strings.TrimSpace(l))
		}
	}
	if len(words) > 200 {
		words = words[:200]
	}
	return strings.ToValidUTF8(words, "")
}

// panics is the kernel's own line, with or without the time before it.
var panics = regexp.MustCompile(`(?m)^(<\d+>)?(\[ *\d+\.\d+\](\[[^]\n]*\])? )?Kernel panic`)

// panicked tells whether the boot right before this one ended in a panic: its console says
// so. Records of older ones stay where they are until somebody has read them.
func panicked(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "console-ramoops*"))
	for _, f := range files {
		if t, err := os.ReadFile(f); err == nil && panics.Match(t) {
			return true
		}
	}
	return false
}
