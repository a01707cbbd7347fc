// Package guard owns every goroutine of the firmware, knows whether the alarm
// path is alive, and holds children that may eat memory or crash.
//
// Rooms start goroutines only by Guard.Go: each has an owner and a name, its
// panic is recovered and reported with the stack, and it is restarted within a
// budget or its end is reported. A goroutine that ends with the process's
// context ends quietly. A test holds the firmware to having no bare go
// statement outside this package.
//
// A part that dies again and again spends its budget (Budget, as data in
// configs/guard.yaml). What follows depends on what the part is for: one beside
// the alarm path rests, one of the alarm path is never given up: it is started
// again at the slowest pace for ever, and where starting the whole process anew
// may help, the watchdog is starved for it. The log gets each failure's stack
// once and a bounded number of lines; whoever reports is told each time.
//
// The watchdog (Watchdog) is fed by proofs of life, not by a timer.
package guard
