// Package storm is the simulated village: its lines, gauges, board and sirens as
// one bench. What befalls it is told by cmd/village and measured by cmd/figures.
//
// It runs in real time, as the box's clocks and rules do. It never looks into
// the box and imports nothing of it.
package storm
