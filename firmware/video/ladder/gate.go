package ladder

// Gate says which pictures of a stream go out. After a picture that others need was left out
// nothing goes out until the next key picture: a viewer sees no torn picture. It is used by
// one goroutine, for one viewer.
type Gate struct {
	rung   Rung
	nth    int
	broken bool // a reference is missing
	keys   int  // that came since one went out
	begun  bool
}

// Set takes a decision; it holds from the next picture on.
func (g *Gate) Set(d Decision) { g.rung, g.nth = d.Rung, max(1, d.KeyEveryNth) }

// Pass says whether a picture goes out. gap says that something before it is missing already
// (Unit.Gap). Sound is not asked about: it goes out while Rung.Video.
func (g *Gate) Pass(key, droppable, gap bool) bool {
	if !g.begun {
		g.begun, g.broken, g.keys = true, true, g.nth
	}
	if gap {
		g.broken = true
	}
	if key {
		g.keys++
	}
	switch {
	case !g.rung.Video():
		g.broken = g.broken || !droppable
		return false
	case key:
		if g.rung == Keys && g.keys < g.nth {
			g.broken = true
			return false
		}
		g.keys, g.broken = 0, false
		return true
	case g.broken:
		return false
	case g.rung == Keys:
		g.broken = !droppable
		return false
	case g.rung == Thinned && droppable:
		return false
	}
	return true
}

// Drop tells that a picture that passed was not sent after all, as where the pacer's queue
// was full.
func (g *Gate) Drop(key, droppable bool) {
	if key || !droppable {
		g.broken = true
	}
}
