// Package source decides by which source the box's clock goes: a receiver's pulse, a receiver's
// sentences, NTP, what a BeiDou terminal says, the county's own time in a sealed message, a clock
// chip. It is a state machine over the monotonic clock, with no input or output of its own:
// sources are heard (Hear, Pulse), and Judge says what to make of them. Nothing waits for it.
//
// Every word of a source is a time and a bound: how far it may be off. The bound grows with age
// by the drift of the board's quartz. The rules, whose numbers are configs/time.yaml:
//
//   - Sources have an order of trust. The highest that is live holds the clock; one that was not heard for
//     its hold is not live. With none live the clock runs on, its bound grows, and beyond `lost`
//     it is trusted no more (and so no red warning is too old by it).
//   - No source is believed before the clock's floor, which is certainly past (a receiver whose week
//     number rolled over, a chip whose cell is dead), nor years after the box was built.
//   - One source alone carries a clock that nothing set at most `leap` beyond the floor, and
//     one that was set in this boot at most `most` from where it is; beyond that, and where it wants
//     to move it by less, it needs a second of another origin that agrees, or for small moves to
//     say the same for `settle`. A forged server is both alone and far.
//   - A source against which two of other origins agree with each other is outvoted, whatever its rank.
//     The clock itself, set and not yet drifted, is such a witness.
//   - Whoever disagrees with the holder beyond both bounds is a fault with a name.
//
// Sure tells that the time is good enough to raise the floor by: two origins agree, or one has held
// for a time without being contradicted. A floor is never lowered, so what expired stays expired: NTP and
// clock chips, alone or together, raise it only by the time that has passed and `grant` more in one run, since
// whoever stands on the line can forge the one and through it the other. Only a date of a satellite or of the
// county's sealed message raises it further.
//
// A pulse (PPS) says only when a second begins. Which one it is says another live source, or the clock itself
// where it is known to better than half a second; pulses that do not come a second apart are none.
//
// Sources: RFC 5905 section 11.2.1 (a majority whose intervals overlap), RFC 2783 (pulses),
// IS-GPS-200 20.3.3.3.1.1 (the week number has ten bits and rolls over after 1,024 weeks).
package source
