package power

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"tocsin/firmware/clock"
)

// Keeper keeps house. It is not safe for concurrent use.
type Keeper struct {
	rules *Rules
	site  Site

	last  time.Duration // of the sample before
	begun bool

	level   float64
	basis   Basis
	drawing float64 // averaged, beside what sounds
	drawn   bool    // it is known

	mains     bool
	mainsSeen bool
	mainsTurn time.Duration // since when the contact says otherwise
	turning   bool

	loud    time.Duration // when it last sounded
	charged time.Duration // when it was last charged
	full    time.Duration // since when a charger holds the voltage of a full battery
	filling bool

	dying    time.Duration // since when it is about to go off
	isDying  bool
	state    State
	since    time.Duration
	worse    time.Duration
	better   time.Duration
	isWorse  bool
	isBetter bool

	shed    int // of the order
	moved   time.Duration
	shifted bool

	episode episode
	view    View
}

// episode is what is kept of a time of want.
type episode struct {
	ID     string      `json:"id,omitempty"`
	Began  clock.Stamp `json:"began"`
	Gasped bool        `json:"gasped,omitempty"`
	// Alive is when the box last said that it runs.
	Alive clock.Stamp `json:"alive"`
	Back  bool        `json:"back,omitempty"` // said in this boot
}

// kept is what outlives a restart.
type kept struct {
	Episode episode     `json:"episode"`
	State   State       `json:"state"`
	Level   float64     `json:"level"`
	Basis   Basis       `json:"basis"`
	Shed    int         `json:"shed"`
	At      clock.Stamp `json:"at"`
}

const (
	// LoadOver is over how long what is drawn is averaged.
	LoadOver = 10 * time.Minute
	// sunLeast is what a panel gives at night, at the most, in watts: meters are not exact.
	sunLeast = 1.0
	// LastsMost is the longest forecast.
	LastsMost = 30 * 24 * time.Hour
	// keptFor is for how long a level that was kept is worth reckoning on from.
	keptFor = 7 * 24 * time.Hour
)

// New makes a Keeper of proved rules.
func New(r *Rules, s Site) *Keeper {
	return &Keeper{rules: r, site: s, loud: -time.Hour * 24, charged: -time.Hour * 24}
}

// Set takes over other rules or another site. What is known stays.
func (k *Keeper) Set(r *Rules, s Site) {
	k.rules, k.site = r, s
	k.shed = min(k.shed, len(r.Order))
}

// Restore takes back what an earlier run kept.
func (k *Keeper) Restore(b []byte, now clock.Stamp) error {
	var x kept
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	if len(x.Episode.ID) > 64 || x.Level != x.Level {
		return fmt.Errorf("what is kept of the supply is no such thing")
	}
	if k.episode.ID != "" {
		return nil // this run came to want before a slow disk told of an earlier one
	}
	k.episode = x.Episode
	if k.episode.Alive.Boot != now.Boot {
		k.episode.Back = false
	}
	k.state, k.since = x.State, now.Mono
	k.shed = max(0, min(x.Shed, len(k.rules.Order)))
	k.moved, k.shifted = now.Mono, true
	if age, sure := now.Since(x.At); sure && age < keptFor && x.Basis != ByNothing && k.basis == ByNothing {
		// What was drawn while the box was off is not known: at most what it draws running.
		k.level = max(0, min(1, x.Level))
		k.spend(k.site.Draw, age)
		k.basis = Reckoned
	}
	return nil
}

// Kept gives what a later run must know.
func (k *Keeper) Kept(now clock.Stamp) []byte {
	e := k.episode
	if e.ID != "" {
		e.Alive = now
	}
	b, _ := json.Marshal(kept{e, k.state, k.level, k.basis, k.shed, now}) // plain fields
	return b
}

// Look takes a sample and says how the supply stands and what happened.
func (k *Keeper) Look(s Sample) (View, []Event) {
	now := s.Now.Mono
	dt := now - k.last
	if !k.begun || dt < 0 {
		dt, k.since = 0, now
	}
	k.last = now
	first := !k.begun
	k.begun = true

	if c := k.site.Chemistry; c != nil && s.Volts != nil && !c.plausible(*s.Volts/float64(max(1, k.site.Blocks))) {
		s.Volts = nil // of another battery, or of none
	}
	if s.Sounding > 0 {
		k.loud = now
	}
	k.seeMains(now, s.Mains, first)
	k.seeLoad(now, s, dt)
	k.seeLevel(now, s, dt)
	var events []Event
	k.turn(now, s, &events)
	k.episodes(s.Now, &events)
	k.shedding(now, &events)
	k.view = k.look(s)
	return k.view, events
}

// View gives how the supply stood at the last sample.
func (k *Keeper) View() View { return k.view }

// seeMains debounces mains. A contact that cannot be read is not mains.
func (k *Keeper) seeMains(now time.Duration, m *bool, first bool) {
	here := m != nil && *m
	if first && k.episode.ID == "" { // in want, mains must hold before it is back
		k.mains = here
	}
	if here == k.mains {
		k.turning = false
		k.mainsSeen = k.mainsSeen || here
		return
	}
	if !k.turning {
		k.turning, k.mainsTurn = true, now
	}
	wait := k.rules.Dwell.Back
	switch {
	case m == nil:
		wait = k.rules.Dwell.Worse
	case !here:
		wait = k.rules.Dwell.Lost
	case !k.mainsSeen && k.state == Unknown:
		wait = 0
	}
	if now-k.mainsTurn >= wait {
		k.mains, k.turning = here, false
		k.mainsSeen = k.mainsSeen || here
	}
}

// seeLoad averages what is drawn while nothing sounds.
func (k *Keeper) seeLoad(now time.Duration, s Sample, dt time.Duration) {
	quiet := s.Sounding == 0 && now-k.loud >= k.rules.Dwell.Rest
	switch {
	case s.Drawn == nil:
		if !k.drawn && k.site.Draw > 0 {
			k.drawing, k.drawn = k.site.Draw, true
		}
	case !quiet && k.drawn:
	case !k.drawn || k.drawing <= 0:
		k.drawing, k.drawn = max(0, *s.Drawn-s.Sounding), true
	default:
		k.drawing += (*s.Drawn - k.drawing) * (1 - math.Exp(-dt.Seconds()/LoadOver.Seconds()))
	}
	if !k.drawn {
		k.drawing = 0
	}
}

// drawNow is what is drawn at this moment, as far as it is known; what cannot be known is taken at the high side.
func (k *Keeper) drawNow(s Sample) float64 {
	if s.Drawn != nil {
		return *s.Drawn
	}
	return max(k.drawing, k.site.Draw) + s.Sounding
}

func (k *Keeper) spend(watts float64, d time.Duration) {
	if k.site.Capacity > 0 && watts > 0 {
		k.level = max(0, k.level-watts*d.Hours()/k.site.Capacity)
	}
}

// seeLevel finds how full the battery is.
func (k *Keeper) seeLevel(now time.Duration, s Sample, dt time.Duration) {
	here := s.Mains != nil && *s.Mains
	sunny := s.Harvest != nil && *s.Harvest > sunLeast
	if here || sunny {
		k.charged = now
	}
	switch {
	case s.Charge != nil:
		k.level, k.basis = min(1, max(0, *s.Charge/100)), ByCharge
		return
	case s.Runtime != nil && *s.Runtime > 0 && !here && k.site.Capacity > 0 && k.drawNow(s) > 0:
		held := *s.Runtime / 3600 * k.drawNow(s) / k.site.Capacity
		k.level, k.basis = min(1, held+1-k.site.Usable/100), BySupply
		return
	}
	draw := k.drawNow(s)
	if c := k.site.Chemistry; c != nil && s.Volts != nil && k.site.Blocks > 0 {
		v := *s.Volts / float64(k.site.Blocks)
		est := c.Charge(v)
		never := k.basis == ByNothing
		k.holdsFull(now, v >= c.Full && (here || sunny || !k.site.Has[Harvest]))
		switch {
		case never:
			k.level = est
		case k.filling && now-k.full >= k.rules.Dwell.Full:
			k.level = 1
		case here || sunny || now-k.charged < k.rules.Dwell.Rest:
			// A charger lifts the voltage: the battery holds no more than it says.
			if est < k.level {
				k.level = est
			} else if sunny && !here {
				k.spend(draw-*s.Harvest, dt)
			}
		case s.Sounding > 0 || now-k.loud < k.rules.Dwell.Rest:
			// A siren presses it down: the battery holds no less than it says.
			k.spend(draw, dt)
			k.level = max(k.level, est)
		default:
			k.level = est
		}
		k.basis = ByVoltage
		return
	}
	k.filling = false
	if here && !k.site.Has[Charge] && !(k.site.Has[Voltage] && k.site.Chemistry != nil) && k.site.Capacity > 0 {
		// Taken for full where nothing was known; else it fills as slowly as such chargers do.
		if k.basis == ByNothing {
			k.level = 1
		}
		k.level, k.basis = min(1, k.level+dt.Seconds()/k.rules.Dwell.Charge.Seconds()), ByFull
		return
	}
	if k.basis == ByNothing {
		return
	}
	if !here {
		k.spend(draw, dt)
	}
	k.basis = Reckoned
}

// holdsFull notes since when a charger holds the voltage of a full battery.
func (k *Keeper) holdsFull(now time.Duration, yes bool) {
	if yes && !k.filling {
		k.full = now
	}
	k.filling = yes
}

// floor is the charge that must stay in the battery, 0 to 1.
func (k *Keeper) floor() float64 { return 1 - k.site.Usable/100 }

// left is what may be drawn beside the reserve, in Wh.
func (k *Keeper) left() float64 {
	return (k.level-k.floor())*k.site.Capacity - k.site.Reserve()
}

// judge gives the state by what is known now; eased says what it would be with all that must be gained before a
// worse state is over.
func (k *Keeper) judge(s Sample, eased bool) State {
	if k.mains {
		return Mains
	}
	worst, any := Battery, k.basis != ByNothing
	at := func(x State) { worst = max(worst, x) }
	// What must be gained counts for the states that it is in, not for those that are worse.
	gained := func(x State, v float64) float64 {
		if eased && k.state >= x {
			return v
		}
		return 0
	}
	c := k.site.Chemistry
	if c == nil {
		c = &fallback
	}
	hyst := c.Hysteresis / 100
	if k.basis != ByNothing {
		if k.level < c.Low/100+gained(Low, hyst) {
			at(Low)
		}
		if k.level < c.Critical/100+gained(Critical, hyst) {
			at(Critical)
		}
		if k.site.Capacity > 0 {
			m := k.rules.Reserve.margin(k.site.Reserve(), k.site.Capacity)
			if k.left() < m+gained(Critical, m+hyst*k.site.Capacity/2) {
				at(Critical)
			}
		}
	}
	if s.Runtime != nil && s.Charge == nil {
		any = true
		d, t := time.Duration(min(*s.Runtime, LastsMost.Seconds())*float64(time.Second)), k.rules.Runtime
		if d < t.Low+time.Duration(gained(Low, float64(t.Low/2))) {
			at(Low)
		}
		if d < t.Critical+time.Duration(gained(Critical, float64(t.Critical/2))) {
			at(Critical)
		}
	}
	if k.site.Sun && k.basis != ByNothing && k.site.Capacity > 0 && k.drawn && k.drawing > 0 && !k.gains(s) {
		need, _ := k.need(s.Now)
		lasts := hours(k.left() / k.drawing)
		if eased {
			lasts = hours(k.left()/(k.drawing+k.saved())) - k.rules.Sun.Margin
		}
		if lasts < need {
			at(Prepare)
		}
	}
	if !any {
		if s.Mains != nil {
			return Battery // mains is lost, and that is all that is known
		}
		return Unknown
	}
	return worst
}

// fallback judges a charge that is measured where the chemistry is not known.
var fallback = Chemistry{Low: 40, Critical: 25, Empty: 8, Hysteresis: 8}

// gains tells that the sun gives more than is drawn, with what was shed.
func (k *Keeper) gains(s Sample) bool {
	return s.Harvest != nil && *s.Harvest > sunLeast && *s.Harvest > k.drawing+k.saved()
}

func hours(h float64) time.Duration {
	return time.Duration(min(max(0, h), LastsMost.Hours()) * float64(time.Hour))
}

// need is how long it is until the sun charges.
func (k *Keeper) need(now clock.Stamp) (d time.Duration, dated bool) {
	if !k.site.Sun {
		return 0, false
	}
	if k.site.At == nil {
		return k.rules.Sun.Night + k.rules.Sun.Charges, false
	}
	if now.Trust > clock.Free && !now.Wall.IsZero() {
		// A sun that has just come up does not charge yet.
		if at, ok := Sunrise(now.Wall.Add(-k.rules.Sun.Charges), k.site.At[0], k.site.At[1]); ok {
			return max(time.Minute, at.Add(k.rules.Sun.Charges).Sub(now.Wall)), true
		}
	}
	return LongestNight(k.site.At[0]) + k.rules.Sun.Charges, false
}

// dead tells that the power is about to go, by what is measured now and by nothing else.
func (k *Keeper) dead(s Sample) bool {
	if k.mains && (s.Mains == nil || *s.Mains) {
		return false
	}
	if s.Failing != nil && *s.Failing {
		return true
	}
	if c := k.site.Chemistry; c != nil && s.Volts != nil && k.site.Blocks > 0 {
		v := *s.Volts / float64(k.site.Blocks)
		if s.Sounding > 0 && v <= c.Collapse || s.Sounding == 0 && s.Now.Mono-k.loud >= k.rules.Dwell.Dead && v <= c.Dead {
			return true
		}
	}
	if s.Charge != nil {
		c := k.site.Chemistry
		if c == nil {
			c = &fallback
		}
		return *s.Charge <= c.Empty
	}
	return s.Runtime != nil && time.Duration(*s.Runtime*float64(time.Second)) <= k.rules.Runtime.Dead
}

// turn moves the state: at once where mains goes or comes (that is debounced already), after its dwell otherwise.
func (k *Keeper) turn(now time.Duration, s Sample, events *[]Event) {
	to := func(x State) {
		k.isWorse, k.isBetter = false, false
		if x == k.state {
			return
		}
		*events = append(*events, Event{Kind: Turned, From: k.state, To: x})
		k.state, k.since = x, now
	}
	if k.dead(s) {
		if !k.isDying {
			k.isDying, k.dying = true, now
		}
		if now-k.dying >= k.rules.Dwell.Dead {
			to(BrownOut)
			return
		}
	} else {
		k.isDying = false
	}
	raw, eased := k.judge(s, false), k.judge(s, true)
	switch {
	case raw == Mains:
		to(Mains)
		return
	case raw == Unknown:
		if k.state != Unknown && k.state < Low { // what was low stays low
			k.dwell(now, &k.isWorse, &k.worse, k.rules.Dwell.Worse, func() { to(Unknown) })
		}
		return
	case k.state == Mains, k.state == Unknown:
		to(raw)
		return
	case raw > k.state:
		k.isBetter = false
		k.dwell(now, &k.isWorse, &k.worse, k.rules.Dwell.Worse, func() { to(raw) })
		return
	}
	k.isWorse = false
	if eased < k.state {
		k.dwell(now, &k.isBetter, &k.better, k.rules.Dwell.Better, func() { to(eased) })
		return
	}
	k.isBetter = false
}

func (k *Keeper) dwell(now time.Duration, is *bool, since *time.Duration, d time.Duration, then func()) {
	if !*is {
		*is, *since = true, now
	}
	if now-*since >= d {
		then()
	}
}

// episodes follows a time of want.
func (k *Keeper) episodes(now clock.Stamp, events *[]Event) {
	e := &k.episode
	if e.ID != "" && e.Gasped && !e.Back && e.Alive.Boot != now.Boot {
		out, sure := now.Since(e.Alive)
		e.Back = true
		*events = append(*events, Event{Kind: Back, Episode: e.ID, Out: out, Sure: sure})
	}
	switch {
	case k.state >= Critical && e.ID == "":
		*e = episode{ID: fmt.Sprintf("power-%.8s-%d", now.Boot, now.Mono/time.Millisecond), Began: now, Alive: now, Back: true}
		*events = append(*events, Event{Kind: Want, To: k.state, Episode: e.ID})
	case k.state != Unknown && k.state < Critical && e.ID != "":
		d, sure := now.Since(e.Began)
		*events = append(*events, Event{Kind: Mended, To: k.state, Episode: e.ID, Out: d, Sure: sure})
		*e = episode{}
	}
	if k.state == BrownOut && !e.Gasped {
		e.Gasped, e.Back, e.Alive = true, true, now
		*events = append(*events, Event{Kind: Gasp, To: k.state, Episode: e.ID})
	}
}

// shedding moves along the order, one step at a time; all at once where the reserve is near.
func (k *Keeper) shedding(now time.Duration, events *[]Event) {
	if k.state == Unknown {
		return // nobody knows: what is on stays on, what is off stays off
	}
	want := 0
	for i, s := range k.rules.Order {
		if k.state >= s.At {
			want = i + 1
		}
	}
	for want > k.shed {
		if k.state < Critical && k.shifted && now-k.moved < k.rules.Dwell.Step {
			return
		}
		*events = append(*events, Event{Kind: Shed, To: k.state, Load: k.rules.Order[k.shed].What})
		k.shed++
		k.moved, k.shifted = now, true
	}
	for want < k.shed && (!k.shifted || now-k.moved >= k.rules.Dwell.Restore) {
		k.shed--
		*events = append(*events, Event{Kind: Restored, To: k.state, Load: k.rules.Order[k.shed].What})
		k.moved, k.shifted = now, true
	}
}

// saved is what would be drawn more with all that is shed.
func (k *Keeper) saved() (w float64) {
	for _, s := range k.rules.Order[:k.shed] {
		w += s.Saves
	}
	return w
}

func (k *Keeper) look(s Sample) View {
	v := View{State: k.state, Since: k.since, Level: k.level, Basis: k.basis, Reserve: k.site.Reserve(), Drawing: k.drawing, Saved: k.saved(), Episode: k.episode.ID}
	if s.Mains != nil || k.site.Has[MainsHere] {
		m := k.mains
		v.Mains = &m
	}
	if k.basis != ByNothing && k.site.Capacity > 0 {
		v.Energy, v.Left = true, max(0, k.left())
		if k.drawing > 0 {
			v.Lasts = hours(v.Left / k.drawing)
		}
	}
	v.Need, v.Dated = k.need(s.Now)
	for _, x := range k.rules.Order[:k.shed] {
		v.Shed = append(v.Shed, x.What)
	}
	for m, good := range map[Measure]bool{
		Voltage: s.Volts != nil, Charge: s.Charge != nil, Runtime: s.Runtime != nil, Drawn: s.Drawn != nil, Harvest: s.Harvest != nil, MainsHere: s.Mains != nil, Failing: s.Failing != nil,
	} {
		if k.site.Has[m] && !good {
			v.Blind = append(v.Blind, m)
		}
	}
	slices.Sort(v.Blind)
	return v
}
