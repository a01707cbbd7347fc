package account

import (
	"encoding/json"
	"slices"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// receiptsMost bounds the warnings whose stage is remembered; the oldest go first.
const (
	receiptsMost  = 256
	receiptsBytes = 256 << 10
	refMost       = 512
)

// Receipts is how far each warning got, as the county was told. One goroutine uses it.
type Receipts struct {
	all []receipt // oldest first
}

type receipt struct {
	Ref    string     `json:"ref"` // sender,identifier,sent
	Stage  wire.Stage `json:"stage"`
	Why    wire.Why   `json:"why,omitempty"`
	Urgent bool       `json:"urgent,omitempty"`
}

// Take says how far a warning got, and tells whether that is news for the county. What it gives is the
// progress that holds, which never falls. urgent: the warning was red or orange; once it was, its receipts stay so.
func (r *Receipts) Take(ref string, p wire.Progress, urgent bool) (now wire.Progress, nowUrgent, news bool) {
	if len(ref) > refMost {
		ref = ref[:refMost]
	}
	i := slices.IndexFunc(r.all, func(x receipt) bool { return x.Ref == ref })
	if i < 0 {
		if r.all = append(r.all, receipt{Ref: ref, Stage: p.Stage, Why: p.Why, Urgent: urgent}); len(r.all) > receiptsMost {
			r.all = slices.Delete(r.all, 0, 1)
		}
		return p, urgent, true
	}
	x := &r.all[i]
	old := wire.Progress{Stage: x.Stage, Why: x.Why}
	now = old.Join(p)
	x.Stage, x.Why, x.Urgent = now.Stage, now.Why, x.Urgent || urgent
	return now, x.Urgent, now != old
}

// Stage tells how far a warning got, as far as the county was told.
func (r *Receipts) Stage(ref string) (wire.Stage, bool) {
	for _, x := range r.all {
		if x.Ref == ref[:min(len(ref), refMost)] {
			return x.Stage, true
		}
	}
	return 0, false
}

// Snapshot is what is to be kept.
func (r *Receipts) Snapshot() []byte {
	b, _ := json.Marshal(r.all) // strings and numbers
	return b
}

// Restore takes back what was kept. Where it cannot be read, nothing was told so far: it is told once more.
func (r *Receipts) Restore(b []byte) error {
	var all []receipt
	bad := len(b) > receiptsBytes || json.Unmarshal(b, &all) != nil || len(all) > receiptsMost
	for _, x := range all {
		bad = bad || x.Ref == "" || len(x.Ref) > refMost || x.Stage > wire.Confirmed || x.Why > wire.WhyUnkept
	}
	if bad {
		return phrase.E("account.receipts", "bytes", len(b))
	}
	for _, x := range r.all { // what came before a slow disk had loaded
		i := slices.IndexFunc(all, func(o receipt) bool { return o.Ref == x.Ref })
		if i < 0 {
			all = append(all, x)
			continue
		}
		p := wire.Progress{Stage: all[i].Stage, Why: all[i].Why}.Join(wire.Progress{Stage: x.Stage, Why: x.Why})
		all[i].Stage, all[i].Why, all[i].Urgent = p.Stage, p.Why, all[i].Urgent || x.Urgent
	}
	r.all = all[max(0, len(all)-receiptsMost):]
	return nil
}
