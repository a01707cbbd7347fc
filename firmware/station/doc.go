// Package station is the composition root: the only room that knows all others.
// It proves a site's document against profiles, plans, levels and bounds
// (Prove), opens the drivers by hand, and runs the house: lines → rule → alarm →
// plan → announce → order → output, with journal and page beside.
//
// Beside the announcer it tells people by telephone (roll.go), and the county.
//
// It decides nothing by itself. The alarm path inside it is one goroutine that
// never waits for disk, network or page; whatever it offers to them may be lost
// and is counted, never waited for.
package station
