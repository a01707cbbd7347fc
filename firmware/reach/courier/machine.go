package courier

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
)

// never is later than any time of a machine.
const never = time.Duration(1<<63 - 1)

// Machine decides what goes out on which link and when. Time is the box's monotonic
// clock, handed in and never read. It is not safe for concurrent use.
type Machine struct {
	rules *Rules
	rand  *rand.Rand
	order []*way
	ways  map[string]*way

	rows   []*row // by order, the newest first
	byID   map[string]*row
	latest map[string]*row          // newest-wins rows by class and key
	newest map[string]time.Duration // when the newest telemetry of a key was made
	bytes  int
	ticket uint64
	expiry time.Duration

	dirty map[string]bool
	spent map[string]bool // links whose bucket changed

	spare  Spare
	turned []Turned
	done   []Delivered
	count  Counts
}

// Counts count messages since the start.
type Counts struct {
	Posted, Delivered, Late, Replaced, Refused [classes]int64
	// Dropped had no room, Expired were past their deadline.
	Dropped, Expired [classes]int64
	// Stray receipts are of no message that waits.
	Stray int64
}

// Turned is a link whose state changed.
type Turned struct {
	Link     string
	From, To State
	Why      phrase.Message
}

// Delivered is a message whose receipt came, or that of its short form.
type Delivered struct {
	ID    string
	Class Class
	// Link is where the county got it first, as far as it is known.
	Link  string
	After time.Duration
	Late  bool
	// Short: it was telemetry's short form; the whole still waits for a wide link.
	Short bool
}

// Orders is what the shell is to do now, and when to ask again at the latest.
type Orders struct {
	Sends  []Parcel
	Probes []string
	Next   time.Duration
}

// NewMachine makes a machine over links, each of which has a row in the rules. They are
// Off until SetLimits says otherwise. r spreads what many boxes would do at once.
func NewMachine(rules *Rules, links []string, r *rand.Rand) (*Machine, error) {
	m := &Machine{
		rules: rules, rand: r, ways: map[string]*way{}, byID: map[string]*row{}, latest: map[string]*row{},
		newest: map[string]time.Duration{}, dirty: map[string]bool{}, spent: map[string]bool{},
	}
	for _, name := range links {
		rule, ok := rules.Links[name]
		switch {
		case !ok:
			return nil, phrase.E("courier.unknown_link", "link", name, "file", RulesName)
		case m.ways[name] != nil:
			return nil, phrase.E("courier.twice", "link", name)
		}
		w := &way{name: name, rule: rule, m: measured{delivery: rule.Delivery, latency: rule.Latency}, money: newBucket(rule.Budget), out: map[uint64]*flight{}}
		m.ways[name] = w
		m.order = append(m.order, w)
	}
	return m, nil
}

func before(a, b *row) int {
	switch {
	case a.order() != b.order():
		return a.order() - b.order()
	case a.born != b.born:
		if a.born > b.born {
			return -1
		}
		return 1
	case a.ID < b.ID:
		return -1
	case a.ID > b.ID:
		return 1
	}
	return 0
}

// Post takes a message that was made age ago. dated says that age is certain. An ID that
// waits already is taken as said twice; with other content it is refused.
func (m *Machine) Post(now time.Duration, msg Message, age time.Duration, dated bool) error {
	if err := msg.check(); err != nil {
		return err
	}
	if old := m.byID[msg.ID]; old != nil {
		if old.Class != msg.Class || !bytes.Equal(old.Payload, msg.Payload) {
			return phrase.E("courier.clash", "id", msg.ID)
		}
		return nil
	}
	if msg.Deadline == 0 {
		msg.Deadline = m.rules.of(msg.Class).Deadline
	}
	r := &row{Message: msg, born: now - age, dated: dated, tries: map[string]*try{}}
	if !m.makeRoom(r) {
		m.count.Refused[msg.Class]++
		return phrase.E("courier.full", "rows", len(m.rows), "class", msg.Class.String())
	}
	m.count.Posted[msg.Class]++
	m.add(r)
	m.dirty[r.ID] = true
	return nil
}

func slot(r *row) string { return r.Class.String() + "/" + r.Key }

func (m *Machine) add(r *row) {
	if r.Kind == NewestWins {
		if old := m.latest[slot(r)]; old != nil {
			if old.born > r.born { // what was restored is older than what is there
				m.count.Replaced[r.Class]++
				m.dirty[r.ID] = true
				return
			}
			m.remove(old)
			m.count.Replaced[r.Class]++
		}
		m.latest[slot(r)] = r
	}
	if r.Class == Telemetry && r.Key != "" {
		if len(m.newest) > 4096 {
			clear(m.newest)
		}
		if at, ok := m.newest[r.Key]; !ok || r.born > at {
			m.newest[r.Key] = r.born
		}
	}
	i, _ := slices.BinarySearchFunc(m.rows, r, before)
	m.rows = slices.Insert(m.rows, i, r)
	m.byID[r.ID] = r
	m.bytes += r.size()
}

// remove takes a row out, and its parcels with it where nothing else is in them.
func (m *Machine) remove(r *row) {
	if r.gone {
		return
	}
	r.gone = true
	if i, ok := slices.BinarySearchFunc(m.rows, r, before); ok {
		m.rows = slices.Delete(m.rows, i, i+1)
	}
	delete(m.byID, r.ID)
	m.bytes -= r.size()
	if m.latest[slot(r)] == r {
		delete(m.latest, slot(r))
	}
	for name, t := range r.tries {
		w := m.ways[name]
		if w == nil || t.ticket == 0 {
			continue
		}
		if f := w.out[t.ticket]; f != nil && f.until > 0 && f.empty() {
			delete(w.out, f.ticket)
		}
	}
	m.dirty[r.ID] = true
}

// empty tells that nothing in the parcel is waited for.
func (f *flight) empty() bool {
	for _, r := range f.rows {
		if !r.gone && r.tries[f.parcel.Link].ticket == f.ticket {
			return false
		}
	}
	return true
}

// makeRoom finds room for a row: bulk goes first, then telemetry, the oldest first.
func (m *Machine) makeRoom(r *row) bool {
	rows, size := m.rules.Outbox.Rows, m.rules.Outbox.Bytes
	if r.everywhere() {
		rows += int(float64(rows) * m.rules.Outbox.Warnings)
		size += int(float64(size) * m.rules.Outbox.Warnings)
	}
	fits := func() bool { return len(m.rows) < rows && m.bytes+r.size() <= size }
	if fits() {
		return true
	}
	for c := int(Bulk); c >= int(Telemetry) && c >= r.order(); c-- {
		for !fits() {
			// The oldest of a class is the last of its rows.
			i, _ := slices.BinarySearchFunc(m.rows, c+1, func(a *row, c int) int { return a.order() - c })
			if i == 0 || m.rows[i-1].order() != c {
				break
			}
			m.count.Dropped[c]++
			m.remove(m.rows[i-1])
		}
	}
	return fits()
}

// Restore takes what the journal kept, with the age of each letter. It gives the IDs of letters
// whose tries could not be read.
func (m *Machine) Restore(now time.Duration, letters []journal.Letter, age func(*journal.Letter) (time.Duration, bool)) (unread []string) {
	for i := range letters {
		l := &letters[i]
		if m.byID[l.ID] != nil || m.dirty[l.ID] { // said or settled since
			continue
		}
		r, ok := rowOf(l)
		if !ok {
			unread = append(unread, l.ID)
		}
		if r == nil {
			continue
		}
		a, dated := age(l)
		r.born, r.dated = now-a, dated
		m.add(r)
	}
	return unread
}

// Ack takes the county's receipts, which came by a link.
func (m *Machine) Ack(now time.Duration, link string, acks []Ack) {
	if w := m.ways[link]; w != nil {
		w.lastAck = now
		m.sign(now, w)
		if w.state == Up { // as good as a probe that was answered
			w.probeAt = max(w.probeAt, now+w.rule.Probe.Every)
		}
	}
	for _, a := range acks {
		r := m.byID[a.ID]
		if r == nil {
			m.count.Stray++
			continue
		}
		via := a.Via
		if m.ways[via] == nil {
			via = link
		}
		m.credit(now, m.ways[via], r)
		if a.Short && r.Class >= Telemetry {
			if !r.shortHas {
				m.done = append(m.done, Delivered{ID: r.ID, Class: r.Class, Link: via, After: now - r.born, Late: now > r.due(), Short: true})
			}
			r.shortHas = true
			m.dirty[r.ID] = true
			continue
		}
		d := Delivered{ID: r.ID, Class: r.Class, Link: via, After: now - r.born, Late: now > r.due()}
		m.count.Delivered[r.Class]++
		if d.Late {
			m.count.Late[r.Class]++
		}
		m.done = append(m.done, d)
		m.remove(r)
	}
}

// credit measures the link that carried a row and ends the wait for it there.
func (m *Machine) credit(now time.Duration, w *way, r *row) {
	if w == nil || r.tries[w.name] == nil {
		return
	}
	t := r.tries[w.name]
	f := w.out[t.ticket]
	t.ticket = 0
	if f == nil {
		return
	}
	if !f.measured {
		f.measured = true
		w.count.Acked++
		w.overtake(now, f)
		if f.first { // else nobody knows which of the parcels it answers
			w.m.arrived(now - f.began)
			w.m.trip(now - f.began)
			w.patience = 0
		} else {
			w.m.delivery += (1 - w.m.delivery) * deliveryGain
		}
	}
	if f.until > 0 && f.empty() {
		delete(w.out, f.ticket)
	}
}

// overtaken is how many later parcels must have their receipt before one without is thought
// lost, as of TCP's duplicate acknowledgements (RFC 5681, section 3.2).
const overtaken = 3

// overtake counts the receipt of f against the parcels that left before it.
func (w *way) overtake(now time.Duration, f *flight) {
	if !w.rule.Wide {
		return
	}
	for _, o := range w.out {
		if o.ticket < f.ticket && o.until > 0 && !o.measured {
			if o.passed++; o.passed == overtaken {
				o.until = min(o.until, now)
			}
		}
	}
}

// Sent tells how a parcel's Send ended.
func (m *Machine) Sent(now time.Duration, link string, ticket uint64, err error) {
	w := m.ways[link]
	if w == nil || w.out[ticket] == nil || w.out[ticket].until > 0 {
		return
	}
	f := w.out[ticket]
	w.sending--
	ack := w.rule.AckSlow
	if f.class <= Alarm {
		ack = w.rule.Ack
	}
	if w.rule.Wide { // it answers as fast as it was seen to: do not wait longer for a lost one
		ack = min(ack, max(ackLeast, w.m.patience())<<w.patience)
	}
	// Each of several messages takes a slot before the last is out.
	ack += time.Duration(f.parcel.Messages-1) * w.every()
	f.until = now + ack
	for _, r := range f.rows {
		t := r.try(w.name)
		t.n++
		if !w.rule.Wide || f.cost > 0 {
			m.dirty[r.ID] = true
		}
	}
	var fault *Fault
	if errors.As(err, &fault) && fault.Kind != FaultUnsure {
		m.unsend(now, w, f, fault)
		return
	}
	w.count.Parcels++
	w.count.Parts += int64(len(f.parcel.Parts))
	for _, p := range f.parcel.Parts {
		w.count.Bytes += int64(len(p.Bytes))
	}
	w.count.Bytes += int64(f.parcel.Messages * w.rule.Overhead)
	if err != nil {
		w.count.Faults++
		m.miss(now, w, false)
	}
	if f.empty() {
		delete(w.out, ticket)
	}
}

// unsend takes back a parcel that certainly did not go out.
func (m *Machine) unsend(now time.Duration, w *way, f *flight, fault *Fault) {
	delete(w.out, f.ticket)
	w.count.Faults++
	w.money.spend(-f.cost)
	w.count.Spent -= f.cost
	w.next = f.slotFrom
	wait := min(max(fault.Wait, time.Second), time.Hour)
	for _, r := range f.rows {
		t := r.try(w.name)
		t.n--
		if t.ticket == f.ticket {
			t.ticket = 0
		}
		switch fault.Kind {
		case FaultTooLong:
			t.misfit = w.bytes()
		case FaultEarly:
		default:
			t.next = now + m.jitter(min(time.Minute, max(wait, 2*time.Second<<min(t.fails, 5))))
			t.fails++
		}
	}
	switch fault.Kind {
	case FaultEarly:
		w.next = now + wait
	case FaultGone:
		m.fell(now, w, fault.Error())
	case FaultRefused:
		w.next = max(w.next, now+wait)
	}
}

// jitter makes a pause up to a quarter longer.
func (m *Machine) jitter(d time.Duration) time.Duration {
	return d + time.Duration(m.rand.Int64N(int64(d/4)+1))
}

// judge closes parcels whose receipt is overdue.
func (m *Machine) judge(now time.Duration) (next time.Duration) {
	next = never
	for _, w := range m.order {
		for ticket, f := range w.out {
			if f.until == 0 {
				continue
			}
			cut := w.state <= Down && f.class > Alarm
			if f.until > now && !cut {
				next = min(next, f.until)
				continue
			}
			delete(w.out, ticket)
			for _, r := range f.rows {
				if t := r.tries[w.name]; !r.gone && t.ticket == ticket {
					t.ticket = 0
					t.next = min(now, f.until) + m.pause(w, f, t)
				}
			}
			if !f.measured && !cut {
				w.m.lost()
				w.count.Lost++
				if w.lastAck < f.began { // not lost but slow, perhaps
					w.patience = min(w.patience+1, 4)
				}
				if f.class <= Alarm && f.passed < overtaken { // else it plainly lives
					m.miss(now, w, false)
				}
			}
		}
	}
	return next
}

// Pauses after parcels without a receipt, on a link that seems dead, free or not.
const (
	darkMost     = time.Minute
	darkMostPaid = 10 * time.Minute
)

// ackLeast is the least time that a receipt is waited for.
const ackLeast = 2 * time.Second

// pause is how long a row waits after a parcel without a receipt. A link that costs by the
// message and one that seems dead are tried ever more rarely; the latter's first sign of
// life ends the pause.
func (m *Machine) pause(w *way, f *flight, t *try) time.Duration {
	switch {
	case w.state <= Down:
		most := darkMost
		if f.cost > 0 {
			most = darkMostPaid
		}
		t.fails++
		return m.jitter(min(w.rule.Ack<<min(t.fails-1, 8), most))
	case f.cost > 0 && w.rule.Metered:
		return m.jitter(w.rule.Ack << min(max(t.n-1, 0), 4))
	}
	return time.Duration(m.rand.Int64N(int64(w.rule.Ack/16) + 1))
}

// expire drops what is past its deadline and not worth sending.
func (m *Machine) expire(now time.Duration) {
	if now < m.expiry {
		return
	}
	m.expiry = now + time.Second
	from, _ := slices.BinarySearchFunc(m.rows, int(Telemetry), func(a *row, c int) int { return a.order() - c })
	for _, r := range slices.Clone(m.rows[from:]) {
		if r.dated && now > r.due() && m.rules.of(r.Class).Expires {
			m.count.Expired[r.Class]++
			m.remove(r)
		}
	}
}

// Turn gives what is to be done now.
func (m *Machine) Turn(now time.Duration) Orders {
	m.expire(now)
	o := Orders{Next: m.judge(now)}
	var next time.Duration
	o.Probes, next = m.probes(now)
	o.Next = min(o.Next, next)
	for _, w := range m.order {
		for {
			p, again := m.pack(now, w)
			if p == nil {
				o.Next = min(o.Next, again)
				break
			}
			o.Sends = append(o.Sends, *p)
		}
	}
	return o
}

// Spare is what is done without to save power. Nothing of it touches classes 0 to 4.
type Spare struct {
	// Bulk waits: it stays in the outbox, and expires there as ever.
	Bulk bool
	// Probes is how much rarer links that are up are asked for; 0 and 1 as ever.
	Probes int
}

// Spare takes over what is done without.
func (m *Machine) Spare(s Spare) { m.spare = s }

// Changes is what has to be kept since the last call.
type Changes struct {
	Letters map[string]*journal.Letter
	// Links are those whose money changed.
	Links []string
}

// Changes gives what has to be kept since the last call, nil maps where nothing.
func (m *Machine) Changes() Changes {
	var c Changes
	if len(m.dirty) > 0 {
		c.Letters = make(map[string]*journal.Letter, len(m.dirty))
		for id := range m.dirty {
			if r := m.byID[id]; r != nil {
				c.Letters[id] = r.letter(func(link string) bool {
					w := m.ways[link]
					return w != nil && (!w.rule.Wide || w.rule.Cost != Cost{})
				})
			} else {
				c.Letters[id] = nil
			}
		}
		clear(m.dirty)
	}
	if len(m.spent) > 0 {
		c.Links = slices.Sorted(maps.Keys(m.spent))
		clear(m.spent)
	}
	return c
}

// News gives the links that turned and the messages that arrived since the last call.
func (m *Machine) News() ([]Turned, []Delivered) {
	t, d := m.turned, m.done
	m.turned, m.done = nil, nil
	return t, d
}

// Balance gives what a link's bucket holds; SetBalance sets it, with what was gained since
// it was written.
func (m *Machine) Balance(now time.Duration, link string) (balance, full float64) {
	w := m.ways[link]
	if w == nil {
		return 0, 0
	}
	w.money.fill(now)
	return w.money.balance, w.money.full
}

// SetBalance sets a link's bucket as it was kept age ago.
func (m *Machine) SetBalance(now time.Duration, link string, balance float64, age time.Duration) {
	w := m.ways[link]
	if w == nil || balance != balance {
		return
	}
	b := &w.money
	b.balance = min(b.full, max(balance, -m.rules.Overdraft*b.full))
	b.at = now - age
	b.fill(now)
}
