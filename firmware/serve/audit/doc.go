// Package audit keeps who changed what: every changing act that came by the page or the
// local tools, refused ones too, in a file of its own to which lines are only ever added.
//
// Each line carries the digest of the one before it, so that no line can be changed, left
// out or put in without breaking the chain (as RFC 6962's logs and git's commits do). Who
// owns the disk could write the whole chain anew: so its head is told to the journal now and
// then, which the county has copies of. The wall clock may be wrong; each line says how far
// it was trusted, and the boot's own clock beside it.
//
// Nothing waits for it: an act is handed over and written beside, since STOP must not hang
// on a disk. What repeats within a minute is written once and counted, and what strangers
// are refused has a bound, so that nobody wears the flash out from outside. It is capped,
// the oldest going first. Where the disk is dead it goes on in RAM and says so.
//
// Requirements: IEC 62443-4-2 CR 2.8 (auditable events), CR 2.9 (storage), CR 2.10
// (response to failures), CR 2.11 (timestamps), CR 6.1 (accessibility).
package audit
