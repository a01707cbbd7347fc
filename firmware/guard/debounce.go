package guard

import "time"

// Debounce is when a state that is looked at counts: After is how long it must stand, Clears
// how long it must be gone.
type Debounce struct {
	After  time.Duration `yaml:"after"`
	Clears time.Duration `yaml:"clears"`
}

// Watch is one state that is debounced. What is not known changes nothing: a contact that is
// not read has not opened, and one that has opened does not shut because its line is dead.
type Watch struct {
	on      bool
	pending bool
	since   time.Duration
}

// On tells whether it stands.
func (w *Watch) On() bool { return w.on }

// See takes a look: is it so, as far as is known. It gives true where what counts changes.
func (w *Watch) See(now time.Duration, d Debounce, is, known bool) bool {
	if !known || is == w.on {
		w.pending = false
		return false
	}
	if !w.pending {
		w.pending, w.since = true, now
	}
	need := d.After
	if w.on {
		need = d.Clears
	}
	if now-w.since < need {
		return false
	}
	w.on, w.pending = is, false
	return true
}
