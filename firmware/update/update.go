// Package update says what replaces a box's software is: an Installer takes a release
// that somebody brought, verifies it whole before any of it can be started, stages it
// beside what runs, activates it on trial, and either confirms it or rolls it back with
// the reason, which is kept and shown.
//
//	nothing → staged → trial → nothing (confirmed)
//	                     └───→ nothing (rolled back, Reason says why)
//
// The board's own installer (A/B slots, boot loader) implements it in the image; the
// room update/directory does it in a folder, for a bench and for boards whose own
// service starts what the folder's link points to. Nothing here decides whether now is a
// time to update: the composition root refuses it while a level stands.
//
// Sources: ETSI EN 303 645 5.3 (secure updates), IEC 62443-4-2 EDR 3.10 (authenticity of
// updates) and its enhancements.
package update

import (
	"context"
	"io"
	"time"

	"tocsin/firmware/phrase"
)

// Release is one version of the software.
type Release struct {
	Version string `json:"version"`
	// Number only rises; an older one is never installed again once a newer was confirmed.
	Number uint64 `json:"number"`
	// Hardware are the boards that it is for.
	Hardware []string    `json:"hardware"`
	Notes    phrase.Text `json:"notes"`
	Size     int64       `json:"size"`
	Built    time.Time   `json:"built"`
}

// zone is China's: releases are told apart by their day there.
var zone = time.FixedZone("CST", 8*3600)

// Dated tells people how old a release is: the day it was built, or its number where nobody
// knows that.
func (r Release) Dated() phrase.Message {
	if r.Built.IsZero() {
		return phrase.M("update.numbered", "number", r.Number)
	}
	return phrase.M("update.dated", "date", r.Built.In(zone).Format(time.DateOnly))
}

// Phase is where an update stands.
type Phase string

// The phases.
const (
	Idle   Phase = "idle"
	Staged Phase = "staged"
	Trial  Phase = "trial"
)

// State is how an installer stands.
type State struct {
	Phase Phase
	// Running is what runs now, Before what comes back if it is not confirmed, Next what is
	// staged; nil for none.
	Running, Before, Next *Release
	// Left is how long a trial waits for its confirmation; Within how long it may last in all, 0
	// where nobody knows.
	Left, Within time.Duration
	// Reason is why the last update was refused or rolled back; the zero Message for none.
	// Failed is the release that it was, where that is still known.
	Reason phrase.Message
	Failed *Release
	// Hardware is this board's name in releases, Base the SHA-256 of the image that runs, in
	// hexadecimal; "" where nobody knows.
	Hardware, Base string
}

// Installer installs releases. Its methods may take long and are safe from any
// goroutine; they never touch what runs before Activate.
type Installer interface {
	State() State
	// Stage reads a release, verifies it and puts it beside what runs. What is not good
	// leaves no trace; the error says what is wrong.
	Stage(ctx context.Context, r io.Reader) (Release, error)
	// Activate makes what is staged the one to run, on trial for a time.
	Activate(within time.Duration) error
	// Confirm lets a trial stay; Back ends it, for a reason that is kept.
	Confirm() error
	Back(why phrase.Message) error
	// Tick takes a trial back whose time is over, and says so. It is called now and then.
	Tick() (took bool, why phrase.Message, err error)
}
