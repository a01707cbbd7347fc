package alert

import (
	"fmt"

	"tocsin/firmware/phrase"
)

// finder collects what is found, up to its bound. What goes beyond is counted by
// code, so that the last finding can say whether a fatal one is among it: no alert
// may pass because it has too many faults.
type finder struct {
	list    []Finding
	most    int
	count   int
	dropped map[string]bool // code: was fatal
}

// wrong is fatal: the schema or a rule is broken and no one reading is safe.
func (f *finder) wrong(path string, what phrase.Message) { f.add(path, what, true) }

// odd is a warning: a rule is broken and the one safe reading was taken.
func (f *finder) odd(path string, what phrase.Message) { f.add(path, what, false) }

func (f *finder) add(path string, what phrase.Message, fatal bool) {
	if len(f.list) < f.most {
		f.list = append(f.list, Finding{path, what, Form, fatal})
		return
	}
	f.count++
	if f.dropped == nil {
		f.dropped = map[string]bool{}
	}
	f.dropped[what.Code] = f.dropped[what.Code] || fatal
}

// move applies what the profile's data says of single codes.
func (f *finder) move(soft, hard map[string]bool) {
	for i := range f.list {
		f.list[i].Fatal = (f.list[i].Fatal || hard[f.list[i].What.Code]) && !soft[f.list[i].What.Code]
	}
	for code, fatal := range f.dropped {
		f.dropped[code] = (fatal || hard[code]) && !soft[code]
	}
}

func (f *finder) all() []Finding {
	if f.count == 0 {
		return f.list
	}
	fatal := false
	for _, yes := range f.dropped {
		fatal = fatal || yes
	}
	return append(f.list, Finding{"/alert", phrase.M("alert.more_findings", "count", f.count), Form, fatal})
}

func anyFatal(list []Finding, p Part) bool {
	for _, f := range list {
		if f.Fatal && f.Part == p {
			return true
		}
	}
	return false
}

func infoPath(i int) string { return fmt.Sprintf("/alert/info[%d]", i+1) }

func areaPath(i, j int) string { return fmt.Sprintf("/alert/info[%d]/area[%d]", i+1, j+1) }

func resourcePath(i, j int) string { return fmt.Sprintf("/alert/info[%d]/resource[%d]", i+1, j+1) }
