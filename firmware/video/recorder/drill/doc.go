// Package drill records as a box does, in a process that is meant to be killed or to
// lose its power, and judges by another's reader what is left: how many seconds before
// the cut are gone, which files cannot be read, which promises were broken. Tests and
// the figures run it; the box never does.
package drill
