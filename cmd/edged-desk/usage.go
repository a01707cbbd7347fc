package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"tocsin/firmware/phrase"
)

// exitUsage is for a command line that cannot be read, or a site file that
// cannot be used.
const exitUsage = 2

// badUsage says in the reader's language what of the command line is wrong, and
// where help is: a page of help hides the one line that matters.
func badUsage(g *Globals, w io.Writer, err error) int {
	l := g.lang()
	cmd := ""
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil {
		if n := p.Context.Selected(); n != nil {
			cmd = " " + n.Name
		}
	}
	fmt.Fprintf(w, "edged: %s\n", phrase.M("edged.usage", "what", usageProblem(err.Error()), "command", cmd).In(l))
	return exitUsage
}

// usageProblem turns kong's English into a message; what it does not know stays
// as it is.
func usageProblem(s string) phrase.Message {
	for _, k := range []struct {
		prefix string
		to     func(rest string) phrase.Message
	}{
		{"missing flags: ", func(r string) phrase.Message { return phrase.M("edged.missing", "what", r) }},
		{"expected one of ", func(string) phrase.Message { return phrase.M("edged.no_command") }},
		{"unexpected argument ", func(r string) phrase.Message {
			r, _, _ = strings.Cut(r, ",")
			return phrase.M("edged.unexpected", "what", r)
		}},
		{"unknown flag ", func(r string) phrase.Message { return phrase.M("edged.unexpected", "what", r) }},
		{"expected ", func(r string) phrase.Message { return phrase.M("edged.missing", "what", r) }},
	} {
		if r, ok := strings.CutPrefix(s, k.prefix); ok {
			return k.to(r)
		}
	}
	return phrase.M("error.plain", "text", s)
}
