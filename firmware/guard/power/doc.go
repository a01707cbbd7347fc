// Package power keeps house with a site's supply: what the box may still spend, on what, and what it must
// leave alone.
//
// # What it promises
//
// The energy of so many minutes of full sounding (the reserve) is spent on nothing else: before what is left
// comes down to it, all that is in the order of shedding is off. What guards life is not in that order: the
// gauges, the rules, the outputs and one narrow link have no name there, so that no data can shed them. They
// draw on the reserve as well once nothing else is left; it is the box that then goes off, and it says so
// before (the gasp).
//
// A value that is bad, stale or not there is never taken as calm: what is left is reckoned on from the last
// good one by what is drawn, never up, and the loss is told as a fault. It is no reason either to believe
// that the power is about to go: only a voltage or the supply's own word, measured now, says that.
//
// A voltage that sags while a siren sounds is no empty battery. A charge is read from a voltage only at rest:
// nothing sounds, nothing charges, and neither did for a while. Meanwhile what was drawn is counted.
//
// # How it works
//
// Keeper is a state machine over virtual time: samples go in, a View and Events come out. It reads no clock,
// starts no goroutine and touches nothing; the station measures, carries out what Shed says, and keeps what
// Kept gives, so that an episode over a power cut is one. Thresholds, tables and the order are data:
// configs/power.yaml, which a county overrides.
//
// How long the battery has to last is known from the sun: the next sunrise at the site, and some time until
// a low sun charges. Where nobody vouches for the clock it is the longest night there. What the sun will give is
// not foretold: a day of rain gives nothing.
//
// # Sources
//
// Sunrise: NOAA Global Monitoring Laboratory, General Solar Position Calculations (fractional year, equation of
// time, declination, hour angle at a zenith of 90.833°). It is right to a minute or two between the polar circles.
// The tables of voltages name theirs in the data.
package power
