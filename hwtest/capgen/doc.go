// Package capgen writes genuine alerts as text, as offices of several countries send them:
// China's national messages, IPAWS, CAP-CP, CAP-AU, WMO members and plain CAP 1.2. They are for tests
// and figures: each must be taken by whoever claims to read CAP.
//
// It imports nothing of the firmware, so that a reader's fault cannot cancel itself
// out, and signs nothing. Sources: CAP-v1.2-os section 3.2 for the order of elements; GB/T
// 35965.1-2018 (as its published value rules have it) for identifiers and times; the
// profiles as configs/alerts/profiles.yaml cites them.
package capgen
