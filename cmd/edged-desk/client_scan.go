package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/station"
)

// ScanCmd searches a line for units: of a running box by the line's name, or a
// port that no box holds.
type ScanCmd struct {
	Target string `arg:"" help:"线路名、串口（/dev/ttyUSB0）或网关（192.168.1.20:502） · A line's name, a port or a gateway"`
	Asking
	Units   string   `help:"站号，如 1-10,40，默认 1-247 · Unit numbers, by default 1-247" placeholder:"1-247"`
	Baud    []int    `help:"只试这些波特率 · Only these rates"`
	Format  []string `help:"只试这些格式，如 8N1 · Only these formats"`
	First   bool     `help:"找到一台就停 · End with the first unit found"`
	NoSweep bool     `help:"不读寄存器 · Do not show the registers"`
	JSON    bool     `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
}

// Asking is what every asking of unknown units needs to know.
type Asking struct {
	Wait   time.Duration `help:"每台等多久才开始应答 · How long a unit may take to begin its answer" default:"150ms"`
	Config string        `short:"c" type:"path" help:"站点文件：到它旁边的 profiles 里找设备文件 · The site's file: profiles beside it are known too" placeholder:"FILE"`
	Force  bool          `help:"有警报或线上有钥匙时也搜索，须写 --who · Also while a level stands or where keys hang on the line; needs --who"`
	Who    string        `help:"操作人姓名，记入日志 · Name of the acting person, kept in the journal" env:"EDGED_WHO" placeholder:"NAME"`
}

func (a *Asking) query() (api.ScanQuery, error) {
	q := api.ScanQuery{WaitMS: int(a.Wait.Milliseconds()), Force: a.Force, Who: a.Who}
	if a.Who == "" {
		if a.Force {
			return q, &clientError{phrase.E("scan.force_name"), exitUsage}
		}
		q.Who = "technician"
		if u, err := user.Current(); err == nil && u.Username != "" {
			q.Who = u.Username
		}
	}
	return q, nil
}

// Run scans until the end or Ctrl-C.
func (c *ScanCmd) Run(g *Globals) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	if q.Units, err = unitsOf(c.Units); err != nil {
		return err
	}
	q.Bauds, q.Formats, q.First, q.Sweep = c.Baud, c.Format, c.First, !c.NoSweep
	n := 0
	err = g.scan(c.Target, c.Config, q, func(e api.ScanEvent) error {
		if e.Found != nil && e.Found.How != "known" {
			n++
		}
		if c.JSON {
			return g.printLine(e)
		}
		return g.scanned(e)
	})
	if err == nil && !c.JSON {
		g.clearLine()
		g.say(phrase.M("scan.total", "n", n))
	}
	return err
}

// unitsOf reads "1-10,40".
func unitsOf(s string) (out []int, err error) {
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		lo, hi, two := strings.Cut(part, "-")
		if !two {
			hi = lo
		}
		a, err1 := strconv.Atoi(lo)
		b, err2 := strconv.Atoi(hi)
		if err1 != nil || err2 != nil || a < 1 || b > 247 || a > b {
			return nil, &clientError{phrase.E("scan.bad_units", "units", s), exitUsage}
		}
		for u := a; u <= b; u++ {
			if !slices.Contains(out, u) {
				out = append(out, u)
			}
		}
	}
	return out, nil
}

// scan goes through the running box where it has the line or holds the port, and
// opens the port itself where not.
func (g *Globals) scan(target, site string, q api.ScanQuery, f func(api.ScanEvent) error) error {
	ctx, cancel := g.context()
	defer cancel()
	isPort := strings.HasPrefix(target, "/") || strings.Contains(target, ":")
	q.Line = target
	if isPort {
		q.Line = g.lineAt(target)
	}
	if q.Line == "" {
		err := station.ScanPort(ctx, target, site, q, slog.New(slog.DiscardHandler), f)
		if ctx.Err() != nil {
			return g.broken()
		}
		return err
	}
	resp, err := g.ask(ctx, "/scan", q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return g.follows(ctx, resp.Body, f)
}

// broken says that a scan was given up by its user.
func (g *Globals) broken() error {
	return &clientError{phrase.E("scan.given_up"), exitRefused}
}

func (g *Globals) follows(ctx context.Context, from io.Reader, f func(api.ScanEvent) error) error {
	sc := bufio.NewScanner(from)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var e api.ScanEvent
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			return &clientError{phrase.Wrap(err, "serve.stream_ended"), exitRefused}
		}
		if e.Kind == api.ScanEnded {
			why := phrase.Text{}
			if e.Why != nil {
				why = phrase.Text{ZH: e.Why.ZH, EN: e.Why.EN}
			}
			return &clientError{phrase.E("serve.refused", "text", why), exitRefused}
		}
		if err := f(e); err != nil {
			return err
		}
		if e.Kind == api.ScanDone {
			return nil
		}
	}
	if ctx.Err() != nil {
		return g.broken()
	}
	return &clientError{phrase.E("serve.stream_ended"), exitUnreachable}
}

// lineAt gives the running box's line on a port; "" where there is none, or no
// box.
func (g *Globals) lineAt(port string) string {
	var all []api.Line
	if g.get("/lines", nil, &all) != nil {
		return ""
	}
	real := func(p string) string {
		if r, err := filepath.EvalSymlinks(p); err == nil {
			return r
		}
		return p
	}
	for _, l := range all {
		if real(l.Port) == real(port) {
			return l.Name
		}
	}
	return ""
}

// terminal tells whether progress can be written over itself.
func (g *Globals) terminal() bool {
	st, err := os.Stderr.Stat()
	return g.Out == nil && err == nil && st.Mode()&os.ModeCharDevice != 0
}

func (g *Globals) clearLine() {
	if g.terminal() {
		io.WriteString(os.Stderr, "\r\x1b[K")
	}
}

// scanned prints one event of a scan.
func (g *Globals) scanned(e api.ScanEvent) error {
	l := g.lang()
	if e.Kind == api.ScanProgress && g.terminal() {
		left := (time.Duration(e.LeftMS) * time.Millisecond).Round(time.Second).String()
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s", phrase.M("scan.progress", "setting", e.Setting, "unit", e.Unit, "done", e.Done, "total", e.Total, "left", left).In(l))
	}
	if e.Found == nil {
		return nil
	}
	g.clearLine()
	f := e.Found
	at := strconv.Itoa(f.Baud) + " " + f.Format
	if f.Baud == 0 {
		at = "tcp"
	}
	var how phrase.Message
	switch f.How {
	case "answers":
		how = phrase.M("scan.how_answers")
	case "refuses":
		how = phrase.M("scan.how_refuses")
	case "known":
		how = phrase.M("scan.how_known", "device", api.Clean(f.Device, 64))
	default:
		how = phrase.M("error.plain", "text", g.why(f.Hint))
	}
	g.say(phrase.M("scan.unit", "setting", at, "unit", f.Unit, "how", how))
	if who := identity(f.Identity); who != "" {
		io.WriteString(g.out(), "  "+phrase.M("scan.says", "who", who).In(l)+"\n")
	}
	for _, m := range f.Matches {
		var vs []string
		for _, v := range m.Values {
			vs = append(vs, string(v.Point)+" "+g.value(v.Value, v.Unit)+" "+g.unit(v.Unit))
		}
		word := phrase.M("scan.fits", "profile", m.Profile, "name", m.Name, "values", strings.Join(vs, ", "))
		if m.Fingerprint {
			word = phrase.M("scan.is", "profile", m.Profile, "name", m.Name, "values", strings.Join(vs, ", "))
		}
		io.WriteString(g.out(), "  "+word.In(l)+"\n")
	}
	return g.rows(f.Rows)
}

// identity is what a unit says of itself, in one line.
func identity(d *api.ScanIdentity) string {
	if d == nil {
		return ""
	}
	var out []string
	for _, s := range append([]string{d.Vendor, d.Name, d.Product, d.Model, d.Revision, d.Application, d.URL}, d.Other...) {
		if s = api.Clean(s, 96); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if s := api.Clean(d.Text, 96); s != "" && !slices.Contains(out, s) {
		out = append(out, s)
	} else if s == "" && d.Server != "" {
		out = append(out, "0x11: "+api.Clean(d.Server, 96))
	}
	return strings.Join(out, " · ")
}

// rows prints registers in all types, those that say nothing left out.
func (g *Globals) rows(rs []api.ScanRow) error {
	l := g.lang()
	t := table{{phrase.M("scan.col_register").In(l), "hex", "uint16", "int16", phrase.M("scan.col_text").In(l),
		"float32 ABCD", "CDAB", "BADC", "DCBA", "uint32 ABCD", "CDAB", phrase.M("scan.col_likely").In(l)}}
	zeros := 0
	for _, r := range rs {
		next := len(r.Uint32) == 4 && r.Uint32[0] != 0
		if r.Uint16 == 0 && !next && !r.Moved {
			zeros++
			continue
		}
		likely := slices.Clone(r.Likely)
		if r.Moved {
			likely = append(likely, phrase.M("scan.moved").In(l))
		}
		row := []string{fmt.Sprintf("%s 0x%04X", r.Table, r.Addr), r.Hex, strconv.Itoa(int(r.Uint16)), strconv.Itoa(int(r.Int16)), cmp.Or(api.Clean(r.Text, 2), "-")}
		if next {
			for _, v := range r.Float {
				row = append(row, short(v))
			}
			row = append(row, strconv.FormatUint(uint64(r.Uint32[0]), 10), strconv.FormatUint(uint64(r.Uint32[1]), 10))
		} else {
			row = append(row, "-", "-", "-", "-", "-", "-")
		}
		t = append(t, append(row, strings.Join(likely, ", ")))
	}
	if len(t) > 1 {
		if err := t.write(g.out(), -1); err != nil {
			return err
		}
	}
	if zeros > 0 {
		io.WriteString(g.out(), phrase.M("scan.zeros", "n", zeros).In(l)+"\n")
	}
	return nil
}

func short(v *float64) string {
	if v == nil {
		return "-"
	}
	return strconv.FormatFloat(*v, 'g', 6, 64)
}

// findOne gives the one unit that a scan of it found.
func (g *Globals) findOne(target, site string, q api.ScanQuery) (api.FoundUnit, error) {
	var found *api.FoundUnit
	err := g.scan(target, site, q, func(e api.ScanEvent) error {
		if f := e.Found; f != nil && (f.How == "answers" || f.How == "refuses") && found == nil {
			found = f
		}
		return nil
	})
	if err == nil && found == nil {
		err = &clientError{phrase.E("scan.nothing", "target", target), exitRefused}
	}
	if err != nil {
		return api.FoundUnit{}, err
	}
	return *found, nil
}
