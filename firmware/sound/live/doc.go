// Package live is a person's voice as something that loudspeakers play: what comes in
// pieces, late, twice or not at all becomes samples at the pace of each card.
//
// A Voice is fed by whoever opened the frames (Put) and read by one Reader for each
// loudspeaker. It holds a little against jitter (hold), and never more than most: after it ran dry it
// holds more for a while. What
// would sound later than that is left out. A piece that is missing is filled from what
// was said before it and fades to silence in 60 ms. Speech is brought to the level of the clips, a
// weak voice is raised by a bounded gain, and no sample is ever above the peak.
//
// It ends by itself: when the talker ends, when nothing is said for quiet, when nothing
// comes for lost. Until it has begun, a Reader gives silence and waits for nothing.
//
// It knows no order and no output: nobody hears a Voice without an Order that names it,
// and that the order's time ends is sound/output's to see to, whatever still comes.
//
// Sources: the bounds are order.Live; filling from the last pitch period after
// ITU-T G.711 Appendix I (09/99), which repeats and fades in the same 60 ms.
package live
