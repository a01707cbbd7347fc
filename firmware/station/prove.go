package station

import (
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"tocsin/configs"
	"tocsin/firmware/decide/plan"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/sound/speech"
)

// Load loads and proves a site's file. The blueprint is nil where a problem is
// more than a warning.
func Load(file string) (*Blueprint, []config.Problem) {
	doc, ps := config.Load(file)
	if doc == nil {
		return nil, ps
	}
	bp, more := Prove(doc)
	ps = append(ps, more...)
	config.Sort(ps)
	return bp, ps
}

// Prove holds a document against profiles, plans, levels and bounds. Profiles
// and plans beside the site's file (profiles/, plans/, tones.yaml, …) come before
// those that are compiled in.
func Prove(doc *config.Doc) (*Blueprint, []config.Problem) {
	p := &prover{
		doc: doc, site: doc.Site,
		fsys:     overlay{os.DirFS(filepath.Dir(doc.File)), configs.FS},
		beside:   os.DirFS(filepath.Dir(doc.File)),
		points:   map[point.ID]*PointInfo{},
		devices:  map[string]*UnitPlan{},
		onLine:   map[string]string{},
		profiles: map[string]*profile.Profile{},
	}
	p.bp = &Blueprint{Doc: doc, FS: p.fsys, Plans: map[string]*plan.Plan{}, PlanOf: map[string]*plan.Plan{}, Sources: map[point.ID]rule.Source{}}
	p.guarded()
	if config.Fatal(p.problems) {
		return nil, p.problems
	}
	return p.bp, p.problems
}

// guarded proves all. A county's own table that the YAML library chokes on is a problem of the file; as a panic it
// would end the box at its start, and at a reload.
func (p *prover) guarded() {
	defer func() {
		if r := recover(); r != nil {
			p.problem(phrase.M("site.prove_failed", "detail", fmt.Sprint(r)))
		}
	}()
	p.all()
}

// overlay looks in one file system after the other.
type overlay []fs.FS

// Open opens the first that is there.
func (o overlay) Open(name string) (fs.File, error) {
	var first error
	for _, f := range o {
		file, err := f.Open(name)
		if err == nil {
			return file, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// ReadDir lists what any of them has.
func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	byName := map[string]fs.DirEntry{}
	for _, f := range slices.Backward(o) {
		entries, err := fs.ReadDir(f, name)
		if err != nil {
			continue // most sites have no folder of their own
		}
		for _, e := range entries {
			byName[e.Name()] = e
		}
	}
	var all []fs.DirEntry
	for _, n := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, byName[n])
	}
	return all, nil
}

type prover struct {
	doc      *config.Doc
	site     config.Site
	fsys     fs.FS
	beside   fs.FS // what the site has of its own
	bp       *Blueprint
	problems []config.Problem
	points   map[point.ID]*PointInfo
	devices  map[string]*UnitPlan
	onLine   map[string]string // device → line
	// profiles are those that were loaded and proved: fifty gauges of one make
	// share one, which never changes.
	profiles map[string]*profile.Profile
}

// profile loads and proves a profile once.
func (p *prover) profile(name string) (*profile.Profile, []profile.Problem) {
	if prof := p.profiles[name]; prof != nil {
		return prof, nil
	}
	prof, ps := profile.Load(p.fsys, name)
	if prof != nil {
		if ps = prof.Prove(); len(ps) > 0 {
			return nil, ps
		}
		p.profiles[name] = prof
	}
	return prof, ps
}

func (p *prover) problem(m phrase.Message, path ...any) {
	p.problems = append(p.problems, p.doc.At(m, path...))
}

func (p *prover) warn(m phrase.Message, path ...any) {
	p.problems = append(p.problems, p.doc.Warn(m, path...))
}

func (p *prover) all() {
	levels, err := plan.LoadLevels(p.fsys, "levels.yaml")
	if err != nil {
		p.problem(phrase.M("site.bad_levels", "detail", err))
		return
	}
	p.bp.Levels = levels
	if p.bp.Tones, err = speech.LoadTones(p.fsys, "tones.yaml", false); err != nil {
		p.problem(phrase.M("site.bad_tones", "detail", err))
	}
	if p.bp.Doubts, err = rule.LoadDoubts(p.fsys, "plausibility.yaml"); err != nil {
		p.problem(phrase.M("site.bad_plausibility", "detail", err))
	}
	p.place()
	p.network()
	for _, name := range slices.Sorted(maps.Keys(p.site.Lines)) {
		p.line(name, p.site.Lines[name])
	}
	for _, name := range slices.Sorted(maps.Keys(p.site.Devices)) {
		p.device(name, p.site.Devices[name])
	}
	p.neighbours()
	p.linesDone()
	for _, name := range slices.Sorted(maps.Keys(p.site.Outputs)) {
		p.output(name, p.site.Outputs[name])
	}
	for _, name := range slices.Sorted(maps.Keys(p.site.Inputs)) {
		p.input(name, p.site.Inputs[name])
	}
	p.provePlans()
	for _, name := range slices.Sorted(maps.Keys(p.site.Rules)) {
		p.hazard(name, p.site.Rules[name])
	}
	p.proveManaged()
	p.proveAlerts()
	p.proveLinks()
	p.provePeople()
	p.proveTime()
	p.provePlatforms()
	p.proveBeacons()
	p.proveVideo()
	p.crossed()
	p.proveAnnouncer()
	p.provePower()
	p.proveWear()
	p.proveGuard()
	p.proveBox()
	p.proveHistory()
	p.provePage()
	p.proveProxies()
}

var (
	divisionCode = regexp.MustCompile(`^[0-9]{12}$`)
	charFormat   = regexp.MustCompile(`^[78][NEO][12]$`)
	plainName    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
)

func (p *prover) place() {
	s := p.site.Site
	if !divisionCode.MatchString(s.ID) {
		p.problem(phrase.M("site.id", "id", s.ID), "site", "id")
	}
	if s.Name.ZH == "" {
		p.problem(phrase.M("site.name"), "site", "name")
	}
	if len(s.At) != 0 && (len(s.At) != 2 || math.Abs(s.At[0]) > 90 || math.Abs(s.At[1]) > 180) {
		p.problem(phrase.M("site.at"), "site", "at")
	}
	if s.Datum != "" && !slices.Contains(data, s.Datum) {
		p.problem(phrase.M("site.datum", "datum", string(s.Datum)), "site", "datum")
	}
	if len(s.Languages) == 0 {
		s.Languages = []string{"cmn"}
	}
	for i, l := range s.Languages {
		if !slices.Contains([]string{"cmn", "yue", "en"}, l) {
			p.problem(phrase.M("site.language", "language", l), "site", "languages", i)
			continue
		}
		p.bp.Langs = append(p.bp.Langs, speech.Lang(l))
	}
}

func (p *prover) named(kind, name string) {
	if !plainName.MatchString(name) {
		p.problem(phrase.M("site.bad_name", "name", name), kind, name)
	}
}

func (p *prover) line(name string, l config.Line) {
	p.named("lines", name)
	if oneOf(l.Port, l.TCP, l.I2C, l.OneWire, l.Pins) != 1 {
		p.problem(phrase.M("site.line_way", "line", name), "lines", name)
	}
	if l.TCP != "" && !strings.Contains(l.TCP, ":") {
		p.problem(phrase.M("site.line_tcp", "tcp", l.TCP), "lines", name, "tcp")
	}
	if l.Baud < 0 || l.Baud > 4_000_000 || l.Baud > 0 && l.Baud < 300 {
		p.problem(phrase.M("site.line_baud", "baud", l.Baud), "lines", name, "baud")
	}
	if l.Format != "" && !charFormat.MatchString(l.Format) {
		p.problem(phrase.M("site.line_format", "format", l.Format), "lines", name, "format")
	}
	p.spoken(name, l)
	p.ways(name, l)
	for other, o := range p.site.Lines {
		if other < name && (l.Port != "" && o.Port == l.Port || l.TCP != "" && o.TCP == l.TCP) {
			p.problem(phrase.M("site.line_twice", "line", name, "other", other), "lines", name)
		}
	}
	p.bp.Lines = append(p.bp.Lines, LinePlan{Name: name, Config: l, Format: l.Format, Baud: l.Baud})
}

// spoken proves how the bytes of a line are framed and who switches its
// direction.
func (p *prover) spoken(name string, l config.Line) {
	switch {
	case l.Framing != "" && l.TCP == "":
		p.problem(phrase.M("site.line_framing_port", "line", name), "lines", name, "framing")
	case l.Framing != "" && !slices.Contains([]string{framingTCP, framingRTU, framingASCII}, l.Framing):
		p.problem(phrase.M("site.line_framing", "framing", l.Framing), "lines", name, "framing")
	case l.Mode != "" && l.Port == "":
		p.problem(phrase.M("site.line_mode_tcp", "line", name), "lines", name, "mode")
	case l.Mode != "" && l.Mode != framingRTU && l.Mode != framingASCII:
		p.problem(phrase.M("site.line_mode", "mode", l.Mode), "lines", name, "mode")
	}
	if r := l.RS485; r != nil {
		if l.Port == "" {
			p.problem(phrase.M("site.line_rs485_tcp", "line", name), "lines", name, "rs485")
		}
		if r.Send != "" && r.Send != "high" && r.Send != "low" {
			p.problem(phrase.M("site.line_rs485_send", "send", r.Send), "lines", name, "rs485", "send")
		}
		if most := 100 * time.Millisecond; r.Before.Duration() > most || r.After.Duration() > most {
			p.problem(phrase.M("site.line_rs485_hold", "most", point.Span(most).String()), "lines", name, "rs485")
		}
	}
}

func (p *prover) device(name string, d config.Device) {
	p.named("devices", name)
	prof, ps := p.profile(d.Profile)
	if prof == nil {
		if len(ps) == 0 || strings.ContainsAny(d.Profile, "/.") {
			p.problem(phrase.M("site.no_profile", "profile", d.Profile), "devices", name, "profile")
		}
		for _, q := range ps {
			p.problem(phrase.M("site.bad_profile", "profile", d.Profile, "detail", phrase.Text{ZH: q.In(phrase.ZH), EN: q.In(phrase.EN)}), "devices", name, "profile")
		}
		return
	}
	i := slices.IndexFunc(p.bp.Lines, func(l LinePlan) bool { return l.Name == d.Line })
	if i < 0 {
		p.problem(phrase.M("site.no_line", "line", d.Line, "lines", strings.Join(slices.Sorted(maps.Keys(p.site.Lines)), "、")), "devices", name, "line")
		return
	}
	l := &p.bp.Lines[i]
	if prof.Via == profile.Modbus && (d.Unit < 1 || d.Unit > 247) {
		p.problem(phrase.M("site.unit", "unit", d.Unit), "devices", name, "unit")
		return
	}
	if !p.reaches(name, d, prof, l) {
		return
	}
	for _, u := range l.Units {
		if u.Profile.Via != prof.Via || prof.Via == profile.Text || prof.Via == profile.NMEA {
			p.problem(phrase.M("site.line_shared", "line", d.Line, "device", name, "other", u.Device), "devices", name, "line")
		} else if prof.Via.Named() && u.Address == d.Address {
			p.problem(phrase.M("site.address_twice", "address", d.Address, "line", d.Line, "other", u.Device), "devices", name, "address")
		} else if !prof.Via.Named() && int(u.Unit) == d.Unit {
			p.problem(phrase.M("site.unit_twice", "unit", d.Unit, "line", d.Line, "other", u.Device), "devices", name, "unit")
		}
	}
	u := UnitPlan{Device: name, Unit: uint8(d.Unit), Address: d.Address, Profile: prof, Offset: map[string]float64{}}
	if d.Every != nil {
		e := d.Every.Duration()
		u.Every = &e
	}
	p.pointsOf(name, d, prof, &u)
	l.Units = append(l.Units, u)
	p.devices[name], p.onLine[name] = &u, d.Line
}

func (p *prover) pointsOf(name string, d config.Device, prof *profile.Profile, u *UnitPlan) {
	took := false
	p.bp.Points = slices.Grow(p.bp.Points, len(prof.Points))
	for i := range prof.Points {
		pt := &prof.Points[i]
		info := &PointInfo{ID: point.ID(name + "." + pt.ID), Name: pointName(name, d, pt.Name), Quantity: named(pt.Name, pt.ID), Unit: pt.Unit, Type: pt.Type, Every: pt.Every, Line: d.Line, Role: pt.Role}
		if u.Every != nil {
			info.Every = *u.Every
		}
		info.Limit = max(3*info.Every+2*time.Second, 5*time.Second)
		if c := pt.Counter; c != nil {
			k := *c
			if pt.Unit == "mm" {
				k.Within = p.bp.Doubts.Rain
			}
			info.Counter = &k
		}
		if d.Zero != nil && pt.Unit.Quantity() == point.Unit("m").Quantity() && pt.Counter == nil {
			off, err := d.Zero.In(pt.Unit)
			if err != nil {
				p.problem(phrase.M("site.zero", "value", d.Zero.String()), "devices", name, "zero")
				continue
			}
			u.Offset[pt.ID], took = off, true
		}
		info.Datum = datumOf(p.site.Site.Datum, d, pt)
		p.points[info.ID] = info
		p.bp.Points = append(p.bp.Points, *info)
		p.bp.Sources[info.ID] = rule.Source{Limit: info.Limit, Counter: info.Counter, Step: stepOf(pt)}
	}
	if d.Zero != nil && !took {
		p.problem(phrase.M("site.zero_nothing", "device", name), "devices", name, "zero")
	}
	if d.Datum != "" && !slices.Contains(data, d.Datum) {
		p.problem(phrase.M("site.datum", "datum", string(d.Datum)), "devices", name, "datum")
	}
	if d.Zero != nil && d.Datum == "" && p.site.Site.Datum == "" {
		p.problem(phrase.M("site.datum_missing"), "devices", name, "zero")
	}
}

// linesDone settles what a line's units want of it.
func (p *prover) linesDone() {
	for i := range p.bp.Lines {
		l := &p.bp.Lines[i]
		if len(l.Units) == 0 {
			p.warn(phrase.M("site.line_empty", "line", l.Name), "lines", l.Name)
			continue
		}
		for _, u := range l.Units {
			if l.Baud == 0 {
				l.Baud = u.Profile.Line.Baud
			}
			if l.Format == "" && !l.ascii() {
				l.Format = u.Profile.Line.Format
			}
			if l.Config.Port != "" && u.Profile.Line.Baud != 0 && u.Profile.Line.Baud != l.Baud {
				p.warn(phrase.M("site.baud_differs", "device", u.Device, "wants", u.Profile.Line.Baud, "line", l.Name, "has", l.Baud), "lines", l.Name)
			}
		}
		if l.Baud == 0 {
			l.Baud = 9600
		}
		if l.Format == "" && l.ascii() {
			l.Format = "7E1" // Modbus over Serial Line v1.02, section 2.5.2
		}
		if l.Format == "" {
			l.Format = "8N1"
		}
	}
}

// told tells whether a device is in the file and could not be used: that was
// said where it stands, and what refers to it is not wrong by itself.
func (p *prover) told(device string) bool {
	_, there := p.site.Devices[device]
	return there && p.devices[device] == nil
}

func (p *prover) noPoint(id string) phrase.Message {
	dev, part, _ := strings.Cut(id, ".")
	u := p.devices[dev]
	if u == nil {
		return phrase.M("site.no_device", "device", dev, "devices", strings.Join(slices.Sorted(maps.Keys(p.site.Devices)), "、"))
	}
	var have []string
	for _, q := range u.Profile.Points {
		have = append(have, q.ID)
	}
	return phrase.M("site.no_point", "device", dev, "profile", u.Profile.Name, "part", part, "have", strings.Join(have, "、"))
}

// write finds "<device>.<write>".
func (p *prover) write(ref string, path ...any) Ref {
	dev, part, _ := strings.Cut(ref, ".")
	u := p.devices[dev]
	if p.told(dev) {
		return Ref{}
	}
	if u == nil {
		p.problem(phrase.M("site.no_device", "device", dev, "devices", strings.Join(slices.Sorted(maps.Keys(p.site.Devices)), "、")), path...)
		return Ref{}
	}
	w, ok := u.Profile.Write(part)
	if !ok {
		var have []string
		for _, x := range u.Profile.Writes {
			have = append(have, x.ID)
		}
		p.problem(phrase.M("site.no_write", "device", dev, "profile", u.Profile.Name, "part", part, "have", strings.Join(have, "、")), path...)
		return Ref{}
	}
	return Ref{Device: dev, Part: part, Line: p.onLine[dev], Timed: w.Timed != nil}
}

// contact finds "<device>.<point>" that is a single bit.
func (p *prover) contact(ref string, path ...any) Ref {
	info, ok := p.points[point.ID(ref)]
	if p.told(point.ID(ref).Device()) {
		return Ref{}
	}
	if !ok {
		p.problem(p.noPoint(ref), path...)
		return Ref{}
	}
	if info.Type != profile.Bool {
		p.problem(phrase.M("site.not_contact", "point", ref), path...)
		return Ref{}
	}
	dev, part, _ := strings.Cut(ref, ".")
	return Ref{Device: dev, Part: part, Line: p.onLine[dev]}
}

// crossed proves what concerns the whole.
func (p *prover) crossed() {
	if len(p.bp.Outputs) == 0 {
		p.warn(phrase.M("site.no_outputs"))
	}
	if len(p.bp.Rules) == 0 {
		p.warn(phrase.M("site.no_rules"))
	}
	if p.site.Plan != "" || len(p.bp.Inputs) > 0 {
		p.bp.Default = p.plan(p.site.Plan, "plan")
	}
	for _, pl := range p.bp.Plans {
		p.planFits(pl)
	}
	for i := range p.bp.Points {
		for _, r := range p.bp.Rules {
			for _, c := range r.AnyOf {
				p.bp.Points[i].Used = p.bp.Points[i].Used || c.Point == p.bp.Points[i].ID
			}
		}
	}
	p.bounds()
}

// planFits holds a plan's tones, clips and outputs against what there is.
func (p *prover) planFits(pl *plan.Plan) {
	steps := maps.Clone(pl.Levels)
	steps["all_clear"], steps["test"] = pl.AllClear, pl.Test
	for _, at := range slices.Sorted(maps.Keys(steps)) {
		s := steps[at]
		if s.Tone != "" && p.bp.Tones != nil {
			if _, err := p.bp.Tones.Get(s.Tone); err != nil {
				p.problem(phrase.M("site.plan_tone", "plan", pl.Plan, "step", at, "detail", err), "plan")
			}
		}
		for _, id := range s.AllClips() {
			for _, lang := range p.bp.Langs {
				if _, err := fs.Stat(p.fsys, fmt.Sprintf("clips/%s.%s.wav", id, lang)); err != nil {
					p.warn(phrase.M("site.plan_clip", "plan", pl.Plan, "step", at, "clip", id, "lang", string(lang)), "plan")
				}
			}
		}
		for _, o := range s.Outputs {
			if _, ok := p.site.Outputs[o]; !ok {
				p.problem(phrase.M("site.plan_output", "plan", pl.Plan, "step", at, "output", o), "plan")
			}
		}
	}
}

func (p *prover) bounds() {
	b, err := loadBounds(p.fsys, p.bp.Levels)
	if err != nil {
		p.problem(phrase.M("site.bad_bounds", "detail", err))
		return
	}
	b.Known = slices.Sorted(maps.Keys(p.site.Outputs))
	p.bp.Bounds = b
	p.granted()
	p.proveSpeech()
}
