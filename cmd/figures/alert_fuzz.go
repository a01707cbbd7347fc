package main

import (
	"fmt"
	"time"
)

// alertRooms are the rooms that read what comes from outside as warnings and orders;
// every fuzz target in them is among alertTargets, and a test holds the two to each
// other.
var alertRooms = []string{"firmware/trust", "firmware/trust/xmldsig", "firmware/decide/alert", "firmware/decide/alert/book", "firmware/decide/alert/compact", "firmware/decide/intake", "firmware/decide/command",
	"firmware/reach/feed", "firmware/reach/inbox"}

// alertTargets are the parsers of XML, the compact format, feeds, file names and orders.
var alertTargets = []fuzzTarget{
	{"firmware/trust/xmldsig", "FuzzParse"},
	{"firmware/trust/xmldsig", "FuzzVerify"},
	{"firmware/decide/alert", "FuzzWhateverIsReadIsWrittenBackTheSame"},
	{"firmware/decide/alert", "FuzzScannerTakesNoXMLThatAnotherRefuses"},
	{"firmware/decide/alert/compact", "FuzzOpen"},
	{"firmware/decide/alert/compact", "FuzzReadText"},
	{"firmware/reach/feed", "FuzzParse"},
	{"firmware/reach/inbox", "FuzzNames"},
	{"firmware/decide/command", "FuzzRead"},
	{"firmware/decide/command", "FuzzOpen"},
	{"firmware/trust", "FuzzOpenDSSE"},
	{"firmware/trust", "FuzzDocument"},
	{"firmware/decide/intake", "FuzzClaim"},
}

// alertFuzz counts the parsers of what comes from outside that crash.
func alertFuzz(b *bench) error {
	root, err := moduleRoot(b)
	if err != nil {
		return err
	}
	each := choose(b.long, 10*time.Minute, 8*time.Second)
	failed, err := b.fuzzEach(root, alertTargets, each)
	if err != nil {
		return err
	}
	b.tellWhy("alert.fuzz_crashes", float64(failed), len(alertTargets), fmt.Sprintf("each target for %v", each))
	return nil
}
