package storm

import "time"

// Levels are what the site's rules know of the river, in metres above gauge
// zero: the night's river passes through them.
type Levels struct {
	Calm, Prepare, Evacuate float64
}

// climb is how fast the river rises, metres a minute: below the 1 m/min beyond
// which the gauge's profile calls a reading implausible.
const climb = 0.8

func rise(from, to float64) time.Duration {
	return time.Duration((to - from) / climb * float64(time.Minute))
}

// Night is a storm within about 80 s. The river stands at Calm when it begins
// and should be at most 0.25 m below Prepare, which in turn is at most 0.4 m
// below Evacuate: else it gets there later than the steps that follow suppose.
func Night(v *Village, at Levels) Script {
	const second = time.Second
	drowned := at.Evacuate - 0.05
	return Script{
		{0, "rain", "Rain sets in at 240 mm/h over all gauges.", do(func() { v.Pour(240) })},
		{6 * second, "surge", "A wave lifts the level by 1.5 m for 1.5 s: to be ignored.",
			do(func() { v.River.Surge(1.5, 1500*time.Millisecond) })},
		{10 * second, "clog", "Leaves stop the funnel of rain gauge B: to be called.",
			do(func() { v.RainB.Clog(true) })},
		{12 * second, "river", "The river rises through the prepare level.",
			do(func() { v.River.Ramp(at.Prepare+0.05, rise(at.Calm, at.Prepare+0.05)) })},
		{38 * second, "drowned", "The radar loses its echo while the river rises on: the level is to be held.",
			do(func() {
				v.River.LoseEcho(true)
				v.River.Ramp(drowned, rise(at.Prepare+0.05, drowned))
			})},
		{46 * second, "key", "The deputy turns the key: move now.",
			do(func() { v.Board.Turn(InputKeyEvacuate, true) })},
		{48 * second, "key back", "The key is turned back.",
			do(func() { v.Board.Turn(InputKeyEvacuate, false) })},
		{54 * second, "horn", "The horn's wire breaks: on without current, the next output takes over.",
			do(func() { v.Horn.Break(true) })},
		{62 * second, "horn mended", "The horn's wire is mended.",
			do(func() { v.Horn.Break(false) })},
		{64 * second, "weld", "The horn's contact welds.",
			do(func() { v.Board.Weld(RelayHorn) })},
		{66 * second, "stop", "Somebody presses STOP: the contactor has to silence the horn.",
			do(func() { v.Board.Press(InputStop) })},
		{76 * second, "echo", "The radar sees the river again.",
			do(func() { v.River.LoseEcho(false) })},
		{80 * second, "rain ends", "The rain ends.", do(func() { v.Pour(0) })},
	}
}
