// Package storm is the simulated village and what befalls it: the lines,
// gauges, board and sirens as one bench, and scripts of timed steps over them.
//
// It runs in real time, as the box's clocks and rules do. It never looks into
// the box and imports nothing of it.
package storm
