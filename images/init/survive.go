package main

import (
	"runtime/debug"
	"time"
)

// A panic in any goroutine would end the first process, and with it the board. So each part
// runs in a goroutine of its own that takes it: what fails is said, and goes on.

const surviveAgain = time.Second

// start runs a part of init beside the others. One that panics is begun anew; one that
// ends has ended.
func (b *board) start(part string, f func()) {
	go func() {
		for b.died(part, f) {
			time.Sleep(surviveAgain)
		}
	}()
}

// beside runs something once.
func (b *board) beside(part string, f func()) { go b.died(part, f) }

// vital runs what cannot be begun anew while what it started lives on: the board is.
func (b *board) vital(part string, f func()) {
	go func() {
		if b.died(part, f) {
			b.restart(part + " failed")
		}
	}()
}

// died runs something and tells whether it panicked.
func (b *board) died(part string, f func()) (died bool) {
	defer func() {
		if r := recover(); r != nil {
			died = true
			b.say("%s: panic: %v: %s", part, r, debug.Stack())
		}
	}()
	f()
	return false
}
