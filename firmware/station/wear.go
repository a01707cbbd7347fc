package station

import (
	"context"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard/wear"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sense/profile"
)

const (
	// keyWear is the journal's name of what was written to each flash.
	keyWear  = "wear"
	wearLook = 20 * time.Second
	wearKeep = 6 * time.Hour
)

// worn is what the house keeps of what ages its board. Its goroutine owns it.
type worn struct {
	watch  *wear.Watch
	keptAt time.Duration
	stands map[string]wear.Kind
}

// proveWear loads what is too hot and what wears a flash out, and finds where the cabinet is measured.
func (p *prover) proveWear() {
	r, err := wear.LoadRules(p.fsys)
	if err != nil {
		p.problem(phrase.M("site.bad_wear", "detail", err), "board")
		return
	}
	p.bp.Wear = r
	id := p.site.Board.Cabinet
	i := slices.IndexFunc(p.bp.Points, func(i PointInfo) bool {
		return string(i.ID) == id || id == "" && i.Role == profile.Cabinet
	})
	switch {
	case i < 0 && id != "":
		p.problem(p.noPoint(id), "board", "cabinet")
	case i >= 0 && p.bp.Points[i].Unit != "°C":
		p.problem(phrase.M("site.power_unit", "point", string(p.bp.Points[i].ID), "unit", string(p.bp.Points[i].Unit), "units", "[°C]"), "board", "cabinet")
	case i >= 0:
		p.bp.Cabinet = &p.bp.Points[i]
	}
}

// watchWear looks at heat and flash until ctx ends.
func (h *House) watchWear(ctx context.Context) error {
	wait := time.NewTimer(memoryWait)
	select {
	case <-h.journal.Loaded():
	case <-wait.C:
	case <-ctx.Done():
	}
	wait.Stop()
	t := time.NewTicker(wearLook)
	defer t.Stop()
	for {
		h.lookWear(h.clock.Now())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// lookWear looks once.
func (h *House) lookWear(now clock.Stamp) {
	bp, x := h.seen().bp, &h.wear
	if bp.Wear == nil {
		return
	}
	if x.watch == nil {
		x.watch, x.keptAt, x.stands = wear.New(bp.Wear), now.Mono, map[string]wear.Kind{}
		if b, ok := h.journal.Get(keyWear); ok {
			if err := x.watch.Restore(b); err != nil {
				h.unreadable(keyWear, err)
			}
		}
	}
	x.watch.Set(bp.Wear)
	sys := h.o.sys
	if sys == nil {
		sys = os.DirFS("/sys")
	}
	h.callWear(x.watch.Look(now.Mono, now.Boot, wear.Read(sys), h.cabinet(bp, now)))
	if now.Mono-x.keptAt >= wearKeep {
		x.keptAt = now.Mono
		h.journal.Put(keyWear, x.watch.Kept())
	}
}

// cabinet is the temperature inside of the box; nil where it is not measured, or not good now.
func (h *House) cabinet(bp *Blueprint, now clock.Stamp) *float64 {
	if bp.Cabinet == nil {
		return nil
	}
	v, ok := h.says(bp.Cabinet.ID, bp.Cabinet.Limit, now)
	if !ok {
		return nil
	}
	return &v
}

// callWear makes faults of what was found.
func (h *House) callWear(found []wear.Finding) {
	now := map[string]wear.Kind{}
	for _, f := range found {
		thing := "board " + f.Thing
		now[thing] = f.Kind
		h.setFault(thing, wearText(f))
	}
	for thing := range h.wear.stands {
		if _, still := now[thing]; !still {
			h.clearFault(thing)
		}
	}
	h.wear.stands = now
}

// wearText says what was found.
func wearText(f wear.Finding) phrase.Message {
	celsius := strconv.FormatFloat(f.Value, 'f', 0, 64)
	inside := phrase.M("wear.at", "celsius", celsius)
	if math.IsNaN(f.Value) {
		inside = phrase.M("wear.unmeasured")
	}
	switch f.Kind {
	case wear.ChipWarm:
		return phrase.M("wear.chip_warm", "celsius", celsius, "zone", f.Name)
	case wear.ChipHot:
		return phrase.M("wear.chip_hot", "celsius", celsius, "zone", f.Name)
	case wear.ChipCold:
		return phrase.M("wear.chip_cold", "celsius", celsius, "zone", f.Name)
	case wear.ChipUnread:
		return phrase.M("wear.chip_unread", "zone", f.Name)
	case wear.CabinetWarm:
		return phrase.M("wear.cabinet_warm", "celsius", inside)
	case wear.CabinetHot:
		return phrase.M("wear.cabinet_hot", "celsius", inside)
	case wear.CabinetCold:
		return phrase.M("wear.cabinet_cold", "celsius", inside)
	case wear.FlashUsed:
		return phrase.M("wear.flash_used", "percent", int(f.Value))
	case wear.FlashWorn:
		return phrase.M("wear.flash_worn", "percent", int(f.Value))
	case wear.FlashShort:
		return phrase.M("wear.flash_short", "mib", int(f.PerDay/(1<<20)), "years", strconv.FormatFloat(f.Value, 'f', 1, 64))
	}
	return phrase.M("wear.flash_unread")
}

// boardText names what a fault of the board is about.
func boardText(what string) phrase.Text {
	switch what {
	case "heat":
		return inBoth(phrase.M("wear.heat"))
	case "cabinet":
		return inBoth(phrase.M("wear.cabinet"))
	}
	return inBoth(phrase.M("wear.flash", "disk", what))
}
