package station

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/configs"
	"tocsin/drivers"
	"tocsin/drivers/modbus"
	"tocsin/drivers/serial"
	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/sense/scan"
	"tocsin/firmware/serve/api"
)

// keptPort remembers the port that a line has open, so that a scan at other
// rates can have it. The line's driver opens it anew when it is next asked.
type keptPort struct {
	mu   sync.Mutex
	open drivers.Port
}

func (k *keptPort) keeps(open func() (drivers.Port, error)) func() (drivers.Port, error) {
	return func() (drivers.Port, error) {
		p, err := open()
		if err == nil {
			k.mu.Lock()
			k.open = p
			k.mu.Unlock()
		}
		return p, err
	}
}

func (k *keptPort) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open != nil {
		k.open.Close()
		k.open = nil
	}
}

// mine is a line's own driver lent to a scan. It is not closed, and remembers by
// itself what it is owed.
type mine struct {
	drivers.Registers
	drivers.Identified
}

// Close does nothing.
func (mine) Close() error { return nil }

// Scan proves that a scan may begin on a line of the site.
func (h *House) Scan(q api.ScanQuery, who api.Who) (api.ScanRun, error) {
	s := h.seen()
	i := slices.IndexFunc(s.bp.Lines, func(l LinePlan) bool { return l.Name == q.Line })
	if i < 0 {
		return nil, &phrase.Error{Message: phrase.M("scan.no_line", "line", q.Line), Err: api.ErrUnknown}
	}
	p := s.bp.Lines[i]
	if p.Text() || p.many() || p.Config.Port+p.Config.TCP == "" {
		return nil, phrase.E("scan.no_modbus", "line", q.Line)
	}
	if s.worst > point.Calm && !q.Force {
		return nil, phrase.E("scan.level_stands", "level", s.bp.Levels.Rank(s.worst).Name)
	}
	if keys := s.bp.keysOn(q.Line); len(keys) > 0 && !q.Force {
		return nil, phrase.E("scan.keys", "line", q.Line, "keys", strings.Join(keys, "、"))
	}
	plan, err := planOf(q, s.bp.FS)
	if err != nil {
		return nil, err
	}
	plan.Own = scan.Setting{Baud: p.Baud, Format: p.Format}
	if p.Config.TCP != "" {
		plan.Own = scan.Setting{}
	}
	for _, u := range p.Units {
		if !q.Ask {
			if plan.Known == nil {
				plan.Known = map[uint8]string{}
			}
			plan.Known[u.Unit] = u.Device
		}
	}
	plan.Settings = settingsOf(q, plan.Own, p.Config.TCP != "")
	return func(ctx context.Context, f func(api.ScanEvent) error) error {
		return h.scan(ctx, p, plan, q.Force, who, f)
	}, nil
}

// keysOn names the keys and buttons that hang on a line.
func (bp *Blueprint) keysOn(line string) (names []string) {
	for _, in := range bp.Inputs {
		if in.Input.Line == line {
			names = append(names, in.Name)
		}
	}
	return names
}

// settingsOf begins with the line's own setting. A line over TCP has no other.
func settingsOf(q api.ScanQuery, own scan.Setting, tcp bool) []scan.Setting {
	if tcp {
		return []scan.Setting{{}}
	}
	all := scan.Settings(q.Bauds, q.Formats)
	if i := slices.Index(all, own); i >= 0 {
		all = slices.Insert(slices.Delete(all, i, i+1), 0, own)
	}
	return all
}

func planOf(q api.ScanQuery, fsys fs.FS) (scan.Plan, error) {
	p := scan.Plan{Wait: q.Wait(), First: q.First, Sweep: q.Sweep}
	for _, u := range q.Units {
		p.Units = append(p.Units, uint8(min(max(u, 0), 255)))
	}
	for _, r := range q.Ranges {
		t, err := drivers.ParseTable(r.Table)
		if err != nil {
			return p, phrase.E("scan.bad_pick", "pick", r.Table)
		}
		p.Ranges = append(p.Ranges, scan.Range{Table: t, Addr: uint16(r.Addr), Count: r.Count})
	}
	if p.Ranges != nil {
		p.Sweep = true
		return p, nil // who names registers looks for no profile
	}
	for _, name := range profile.Names(fsys) {
		if x, _ := profile.Load(fsys, name); x != nil && x.Via == profile.Modbus {
			p.Profiles = append(p.Profiles, x)
		}
	}
	return p, nil
}

// errLevel ends a scan when a level is reached elsewhere.
var errLevel = errors.New("a level stands")

// scan runs one scan with the line's polling paused.
func (h *House) scan(ctx context.Context, p LinePlan, plan scan.Plan, force bool, who api.Who, f func(api.ScanEvent) error) error {
	if _, busy := h.scans.LoadOrStore(p.Name, true); busy {
		return phrase.E("scan.busy", "line", p.Name)
	}
	defer h.scans.Delete(p.Name)
	h.write(recordOf("scan.began", phrase.M("scan.began", "line", p.Name, "who", who.Name), who, h.clock.Now()), nil)
	tell := func(e scan.Event) error {
		if h.seen().worst > point.Calm && !force {
			return errLevel
		}
		return f(eventOf(e))
	}
	rooms := newStarter(ctx, h.log)
	defer rooms.end()
	use := func(ctx context.Context, own *modbus.Line, held *keptPort) error {
		_, err := scan.Run(ctx, plan, opener(p, plan, rooms.start, own, held), tell)
		return err
	}
	var err error
	r := h.lineOf(p.Name)
	if bus, ok := busOf(r); ok {
		err = r.regs.Lend(ctx, phrase.M("scan.runs", "line", p.Name, "who", who.Name), func(ctx context.Context, _ drivers.Registers) error {
			return use(ctx, bus, r.port)
		})
	} else {
		err = use(ctx, nil, nil)
	}
	h.write(recordOf("scan.ended", phrase.M("scan.over", "line", p.Name), who, h.clock.Now()), nil)
	switch {
	case errors.Is(err, errLevel):
		return phrase.E("scan.level_rose")
	case err != nil && ctx.Err() == nil && errors.Is(err, context.Canceled):
		return phrase.E("scan.switched", "line", p.Name)
	case err != nil && ctx.Err() == nil && drivers.KindOf(err) == drivers.FaultGone:
		return gone(err)
	}
	return err
}

func recordOf(kind string, m phrase.Message, who api.Who, at clock.Stamp) journal.Record {
	return journal.Record{Kind: kind, Message: m, Who: who.Name, Via: who.Via, At: at}
}

func busOf(r *running) (*modbus.Line, bool) {
	if r == nil || r.regs == nil {
		return nil, false
	}
	bus, ok := r.bus.(*modbus.Line)
	return bus, ok
}

// gone says in words why a port does not open.
func gone(err error) error {
	var said *phrase.Error
	if errors.As(err, &said) {
		return said
	}
	return phrase.Wrap(err, "scan.port", "err", err)
}

// opener gives the line at each setting: at its own, the line's own driver, which
// knows what it is owed; else the port, which the driver must let go of.
func opener(p LinePlan, plan scan.Plan, start drivers.Starter, own *modbus.Line, held *keptPort) scan.Open {
	return func(ctx context.Context, s scan.Setting) (drivers.Registers, error) {
		if own != nil && s == plan.Own {
			return mine{own, own}, nil
		}
		if held != nil {
			held.release()
		}
		return openAt(ctx, p, s, plan.Wait, start)
	}
}

// portFree is how long a port that was just let go of may still be held.
const portFree = time.Second

func openAt(ctx context.Context, p LinePlan, s scan.Setting, wait time.Duration, start drivers.Starter) (drivers.Registers, error) {
	wait = max(wait, 150*time.Millisecond)
	if s.Baud > 0 {
		p.Baud, p.Format = s.Baud, s.Format
	}
	bits, err := serial.CharBits(p.Format)
	if err != nil {
		return nil, err
	}
	o := modbus.RTUOpts{Baud: p.Baud, CharBits: bits, Timeout: wait}
	stream := func() (drivers.Port, error) {
		return modbus.DialStream(ctx, p.Config.TCP, modbus.StreamOpts{Start: start, Connect: time.Second})
	}
	switch {
	case p.Config.TCP != "" && (p.Config.Framing == "" || p.Config.Framing == framingTCP):
		return modbus.NewTCP(p.Config.TCP, modbus.TCPOpts{Timeout: wait, Connect: max(wait, time.Second)}), nil
	case p.Config.TCP != "" && p.ascii():
		return modbus.NewASCII(stream, o), nil
	case p.Config.TCP != "":
		return modbus.NewRTU(stream, o), nil
	}
	// The port is opened now: one that is not there ends the scan.
	first, err := openFree(ctx, p, start)
	if err != nil {
		return nil, err
	}
	x := &theirs{first: first}
	open := func() (drivers.Port, error) {
		if q := x.first; q != nil {
			x.first = nil
			return q, nil
		}
		return openSerial(p, start)
	}
	x.Line = modbus.NewRTU(open, o)
	if p.ascii() {
		x.Line = modbus.NewASCII(open, o)
	}
	return x, nil
}

// theirs is a line that a scan opened for itself.
type theirs struct {
	*modbus.Line
	first drivers.Port // until it is asked for the first time
}

// Close closes a port too that nobody was asked on.
func (x *theirs) Close() error {
	err := x.Line.Close()
	if x.first != nil {
		err = errors.Join(err, x.first.Close())
	}
	return err
}

func openFree(ctx context.Context, p LinePlan, start drivers.Starter) (drivers.Port, error) {
	for end := time.Now().Add(portFree); ; time.Sleep(20 * time.Millisecond) {
		port, err := openSerial(p, start)
		var said *phrase.Error
		if err == nil || !errors.As(err, &said) || !strings.HasPrefix(said.Code, "station.port_held") || time.Now().After(end) || ctx.Err() != nil {
			return port, err
		}
	}
}

// starter gives the goroutines of a scan an owner that waits for them.
type starter struct {
	guard *guard.Guard
	stop  context.CancelFunc
	start drivers.Starter
}

func newStarter(ctx context.Context, log *slog.Logger) *starter {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	g := guard.New(ctx, log, nil)
	return &starter{g, stop, g.Starter("scan")}
}

func (s *starter) end() {
	s.stop()
	s.guard.Wait(2 * time.Second)
}

// ScanPort scans a port (/dev/ttyUSB0) or an address (192.168.1.20:502) without
// a running box. profiles is the site's folder, "" for none.
func ScanPort(ctx context.Context, port, site string, q api.ScanQuery, log *slog.Logger, f func(api.ScanEvent) error) error {
	p := LinePlan{Name: port, Baud: 9600, Format: "8N1", Config: config.Line{Port: port}}
	if !strings.HasPrefix(port, "/") {
		p.Config = config.Line{TCP: port}
	}
	plan, err := planOf(q, profilesOf(site))
	if err != nil {
		return err
	}
	plan.Settings = settingsOf(q, scan.Setting{}, p.Config.TCP != "")
	rooms := newStarter(ctx, log)
	defer rooms.end()
	_, err = scan.Run(ctx, plan, opener(p, plan, rooms.start, nil, nil), func(e scan.Event) error { return f(eventOf(e)) })
	if drivers.KindOf(err) == drivers.FaultGone && ctx.Err() == nil {
		return gone(err)
	}
	return err
}

// profilesOf looks beside a site's file first.
func profilesOf(site string) fs.FS {
	if site == "" {
		return configs.FS
	}
	return overlay{os.DirFS(filepath.Dir(site)), configs.FS}
}

func eventOf(e scan.Event) api.ScanEvent {
	x := api.ScanEvent{Kind: e.Kind, Setting: e.Setting.String(), Unit: int(e.Unit), Done: e.Done, Total: e.Total, LeftMS: e.Left.Milliseconds()}
	if e.Found != nil {
		x.Found = foundOf(*e.Found)
	}
	return x
}

func foundOf(f scan.Found) *api.FoundUnit {
	x := &api.FoundUnit{Baud: f.Setting.Baud, Format: f.Setting.Format, Unit: int(f.Unit), How: f.How, Device: f.Device}
	if !f.Hint.IsZero() {
		t := api.TextOf(f.Hint)
		x.Hint = &t
	}
	for _, m := range f.Matches {
		y := api.ScanMatch{Profile: m.Profile, Name: m.Title, Fingerprint: m.Fingerprint}
		for i, v := range m.Values {
			y.Values = append(y.Values, api.FrameValue{Point: point.ID(v.Point), Value: number(v.Value), Unit: string(m.Units[i]), Quality: v.Quality})
		}
		x.Matches = append(x.Matches, y)
	}
	x.Identity = identityOf(f.Identity)
	for _, b := range f.Blocks {
		x.Blocks = append(x.Blocks, api.ScanBlock{Table: b.Table.String(), Addr: int(b.Addr), Words: b.Words, Sent: fmt.Sprintf("% X", b.Sent), Heard: fmt.Sprintf("% X", b.Heard)})
	}
	for _, r := range scan.Rows(f.Blocks) {
		y := api.ScanRow{Table: r.Table.String(), Addr: int(r.Addr), Uint16: r.Word, Int16: r.Int, Hex: fmt.Sprintf("%04X", r.Word), Text: r.Text, Moved: r.Moved, Likely: r.Likely}
		if r.Pair {
			y.Uint32, y.Int32 = r.U32[:], r.I32[:]
			for _, v := range r.F32 {
				y.Float = append(y.Float, number(shortest(v)))
			}
		}
		x.Rows = append(x.Rows, y)
	}
	return x
}

// identityOf gives what a unit says of itself; nil where it says nothing.
func identityOf(d *scan.Identity) *api.ScanIdentity {
	if d.IsZero() {
		return nil
	}
	x := &api.ScanIdentity{Vendor: d.Vendor, Product: d.Product, Revision: d.Revision, URL: d.URL, Name: d.Name, Model: d.Model, Application: d.Application, Other: d.Other, Text: d.Text}
	if len(d.Server) > 0 {
		x.Server = fmt.Sprintf("% X", d.Server)
	}
	return x
}

// shortest gives a float32 as a person would write it: 98.34, not 98.33999634.
func shortest(f float32) float64 {
	var v float64
	if _, err := fmt.Sscan(fmt.Sprint(f), &v); err != nil {
		return math.NaN()
	}
	return v
}

// Frames gives the last frames of a line.
func (h *House) Frames(name string) ([]api.Frame, error) {
	r := h.lineOf(name)
	if r == nil {
		return nil, &phrase.Error{Message: phrase.M("scan.no_line", "line", name), Err: api.ErrUnknown}
	}
	if r.regs == nil {
		return nil, phrase.E("scan.no_modbus", "line", name)
	}
	var out []api.Frame
	for _, f := range r.regs.Frames() {
		x := api.Frame{Seq: f.Seq, At: f.At, Kind: f.Kind, Fault: f.Fault, Device: f.Device, Unit: int(f.Unit), Function: int(f.Function),
			Addr: int(f.Addr), Count: int(f.Count), Bytes: fmt.Sprintf("% X", f.Bytes), Meaning: api.TextOf(f.Meaning)}
		for _, v := range f.Values {
			x.Values = append(x.Values, api.FrameValue{Point: v.Point, Value: number(v.Value), Unit: string(v.Unit), Quality: v.Quality})
		}
		out = append(out, x)
	}
	return out, nil
}
