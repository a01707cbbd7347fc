// Package rule turns readings into verdicts: for each hazard of a site, which
// level the measurements stand at now, because of what, and whether the box can
// still see at all.
//
// A hazard has conditions, any one of which suffices. A condition looks at one
// point: its value, the sum of a rain counter over a sliding window, or its
// rise over a window; against a threshold for each level. A level of a condition
// comes on when its threshold was reached for the condition's dwell and goes off
// when the value was below its own lower threshold for the clearing dwell
// (hysteresis).
//
// A reading that is not Good never crosses a threshold and never lowers a level:
// while a point is at fault, its conditions keep the level that they had. A
// hazard all of whose points are at fault is Blind, which is a state of its own.
//
// Windows are sliding, not clock-aligned, up to 72 hours (villages use 5 minutes and more; practice
// of the flash-flood county plans, SL 675-2014), and survive a restart: State
// and Restore carry them over, by the monotonic clock within a boot and by the
// wall clock across boots.
//
// Work per reading is bounded, nothing here waits for anything, and time comes in
// with the readings.
package rule
