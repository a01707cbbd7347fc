package courier

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/phrase"
)

// RulesName is the file of the rules.
const RulesName = "links.yaml"

// rulesVersion is the version of the file that this release reads.
const rulesVersion = 1

// Rules is links.yaml; the comments there say what each number means.
type Rules struct {
	Version   int                  `yaml:"version"`
	Reserve   float64              `yaml:"reserve"`
	Overdraft float64              `yaml:"overdraft"`
	Classes   map[string]ClassRule `yaml:"classes"`
	Outbox    Caps                 `yaml:"outbox"`
	Links     map[string]LinkRule  `yaml:"links"`
}

// ClassRule is what holds for one class.
type ClassRule struct {
	Deadline time.Duration `yaml:"deadline"`
	// Expires: what is past its deadline is not worth sending.
	Expires bool `yaml:"expires"`
}

// Caps bound the outbox. Warnings is the share on top of them that warnings alone may use.
type Caps struct {
	Rows     int     `yaml:"rows"`
	Bytes    int     `yaml:"bytes"`
	Warnings float64 `yaml:"warnings"`
}

// LinkRule is what holds for one link.
type LinkRule struct {
	Wide     bool          `yaml:"wide"`
	Free     bool          `yaml:"free"`
	Metered  bool          `yaml:"metered"`
	Cost     Cost          `yaml:"cost"`
	Budget   float64       `yaml:"budget"`
	Batch    int           `yaml:"batch"`
	Most     int           `yaml:"most"`
	Window   int           `yaml:"window"`
	Bytes    int           `yaml:"bytes"`
	Overhead int           `yaml:"overhead"`
	Part     int           `yaml:"part"`
	Messages int           `yaml:"messages"`
	Every    time.Duration `yaml:"every"`
	Fill     int           `yaml:"fill"`
	Latency  time.Duration `yaml:"latency"`
	Delivery float64       `yaml:"delivery"`
	Send     time.Duration `yaml:"send"`
	Ack      time.Duration `yaml:"ack"`
	AckSlow  time.Duration `yaml:"ack_slow"`
	Probe    ProbeRule     `yaml:"probe"`
	HoldDown time.Duration `yaml:"hold_down"`
	Spread   time.Duration `yaml:"spread"`
	// Live is bit/s that live pictures may take of a wide link; 0: no bound.
	Live int `yaml:"live"`
}

// Cost is in yuan.
type Cost struct {
	Message float64 `yaml:"message"`
	KiB     float64 `yaml:"kib"`
}

// ProbeRule says how a link is probed; Every 0 means that it is not. Again is how soon after a
// probe that was missed, 0: as ever.
type ProbeRule struct {
	Every  time.Duration `yaml:"every"`
	Again  time.Duration `yaml:"again"`
	Within time.Duration `yaml:"within"`
	Misses int           `yaml:"misses"`
	Good   int           `yaml:"good"`
}

// Bounds of what the file may say.
const (
	linksMost   = 32
	messageMost = 64 << 10 // bytes of one message of a link
	rulesBytes  = 256 << 10
	deadMost    = 30 * 24 * time.Hour
)

// LoadRules reads and proves links.yaml.
func LoadRules(fsys fs.FS) (*Rules, error) {
	b, err := fs.ReadFile(fsys, RulesName)
	if err != nil {
		return nil, phrase.Wrap(err, "courier.no_rules", "file", RulesName)
	}
	return ParseRules(b)
}

// ParseRules reads and proves the text of links.yaml. Its error names every fault.
func ParseRules(b []byte) (*Rules, error) {
	if len(b) > rulesBytes {
		return nil, phrase.E("courier.rules_long", "file", RulesName, "most", rulesBytes)
	}
	var r Rules
	if err := yaml.UnmarshalWithOptions(b, &r, yaml.Strict()); err != nil {
		return nil, phrase.E("courier.rules", "file", RulesName, "why", yaml.FormatError(err, false, false))
	}
	if r.Version != rulesVersion {
		return nil, phrase.E("courier.version", "file", RulesName, "version", r.Version, "reads", rulesVersion)
	}
	return &r, r.prove()
}

// proof collects what is wrong.
type proof struct{ faults []error }

func (p *proof) need(ok bool, place string, value any, want phrase.Message) {
	if !ok {
		p.faults = append(p.faults, phrase.E("courier.value", "file", RulesName, "place", place, "value", fmt.Sprint(value), "want", want))
	}
}

func (r *Rules) prove() error {
	var p proof
	share := phrase.M("courier.want_share")
	p.need(r.Reserve >= 0 && r.Reserve < 1, "reserve", r.Reserve, share)
	p.need(r.Overdraft >= 0 && r.Overdraft <= 10, "overdraft", r.Overdraft, phrase.M("courier.want_range", "least", 0, "most", 10))
	for _, name := range classNames {
		c, ok := r.Classes[name]
		p.need(ok && c.Deadline >= time.Second && c.Deadline <= deadMost, "classes."+name+".deadline", c.Deadline,
			phrase.M("courier.want_range", "least", time.Second, "most", deadMost))
		p.need(!c.Expires || name == "telemetry" || name == "bulk", "classes."+name+".expires", c.Expires, phrase.M("courier.want_kept"))
	}
	for name := range r.Classes {
		p.need(slices.Contains(classNames[:], name), "classes", name, phrase.M("courier.want_class"))
	}
	p.need(r.Outbox.Rows >= 100 && r.Outbox.Rows <= 100_000, "outbox.rows", r.Outbox.Rows, phrase.M("courier.want_range", "least", 100, "most", 100_000))
	p.need(r.Outbox.Bytes >= 1<<20 && r.Outbox.Bytes <= 128<<20, "outbox.bytes", r.Outbox.Bytes, phrase.M("courier.want_range", "least", 1<<20, "most", 128<<20))
	p.need(r.Outbox.Warnings > 0 && r.Outbox.Warnings <= 1, "outbox.warnings", r.Outbox.Warnings, share)
	p.need(len(r.Links) > 0 && len(r.Links) <= linksMost, "links", len(r.Links), phrase.M("courier.want_range", "least", 1, "most", linksMost))
	for _, name := range slices.Sorted(maps.Keys(r.Links)) {
		r.Links[name].prove(&p, "links."+name)
	}
	return errors.Join(p.faults...)
}

func (l LinkRule) prove(p *proof, at string) {
	num := func(name string, v, least, most int) {
		p.need(v >= least && v <= most, at+"."+name, v, phrase.M("courier.want_range", "least", least, "most", most))
	}
	dur := func(name string, v, least, most time.Duration) {
		p.need(v >= least && v <= most, at+"."+name, v, phrase.M("courier.want_range", "least", least, "most", most))
	}
	money := func(name string, v, most float64) {
		p.need(v >= 0 && v <= most, at+"."+name, v, phrase.M("courier.want_range", "least", 0, "most", most))
	}
	if l.Wide {
		num("batch", l.Batch, 256, 1<<20)
		num("window", l.Window, 1, 1024)
		if l.Most != 0 {
			num("most", l.Most, 64, l.Batch)
		}
		p.need(l.Bytes == 0, at+".bytes", l.Bytes, phrase.M("courier.want_narrow"))
	} else {
		num("bytes", l.Bytes, 16, messageMost)
		p.need(l.Most == 0, at+".most", l.Most, phrase.M("courier.want_wide"))
		num("messages", l.Messages, 1, 16)
		p.need(!l.Free, at+".free", l.Free, phrase.M("courier.want_wide"))
	}
	num("overhead", l.Overhead, 0, max(0, l.Bytes+l.Batch-8))
	num("part", l.Part, 0, 64)
	num("fill", l.Fill, 0, l.Bytes)
	dur("every", l.Every, 0, 24*time.Hour)
	dur("latency", l.Latency, time.Millisecond, time.Hour)
	p.need(l.Delivery > 0 && l.Delivery <= 1, at+".delivery", l.Delivery, phrase.M("courier.want_share"))
	dur("send", l.Send, time.Second, 10*time.Minute)
	dur("ack", l.Ack, time.Second, time.Hour)
	dur("ack_slow", l.AckSlow, l.Ack, 24*time.Hour)
	dur("hold_down", l.HoldDown, 0, time.Hour)
	dur("spread", l.Spread, 0, time.Hour)
	num("live", l.Live, 0, 1_000_000_000)
	money("cost.message", l.Cost.Message, 1000)
	money("cost.kib", l.Cost.KiB, 1000)
	money("budget", l.Budget, 1e6)
	costs := l.Cost != Cost{}
	p.need(!costs || l.Budget > 0, at+".budget", l.Budget, phrase.M("courier.want_budget"))
	p.need(!costs || !l.Free, at+".free", l.Free, phrase.M("courier.want_unpaid"))
	p.need(costs || !l.Metered, at+".cost", "0", phrase.M("courier.want_cost"))
	if l.Probe != (ProbeRule{}) {
		dur("probe.every", l.Probe.Every, time.Second, time.Hour)
		if l.Probe.Again != 0 {
			dur("probe.again", l.Probe.Again, time.Second, l.Probe.Every)
		}
		dur("probe.within", l.Probe.Within, 100*time.Millisecond, l.Probe.Every)
		num("probe.misses", l.Probe.Misses, 1, 100)
		num("probe.good", l.Probe.Good, 1, 100)
	}
}

// of gives a message's class.
func (r *Rules) of(c Class) ClassRule { return r.Classes[c.String()] }
