// Package courier gets messages to the county over whatever links there are: fibre,
// 4G, satellite IP, BeiDou short messages, a LoRa mesh. It keeps each message in the
// outbox of the journal's file until the county's own end-to-end receipt is there, and
// chooses for each the links by class, cost, deadline, budget and what the links were
// measured to deliver.
//
// # What it promises
//
// A message that Post took is kept: it commits with the record that caused it, and is
// sent until its receipt comes, over power cuts and whichever links are up. It may go
// out more than once (a receipt may be lost); its ID never changes, so that the far end
// takes it once. With the disk dead the same holds from RAM, until the power goes, and
// Status says so.
//
//	0 warning    on every link at once, also on those that seem dead; so do its receipts and a box's last word (Urgent)
//	1 command    the cheapest link that meets the deadline by its measured latency and
//	2 receipt    delivery; with no receipt at half the deadline the next one too, at half
//	3 alarm      of the rest another, and past it all
//	4 telemetry  the cheapest unmetered link; on a narrow one only the newest short form
//	5 bulk       only on links that are marked free
//
// Nothing that fails on one link holds up another, and nothing below class 4 waits for a
// hold-down. Caps drop bulk first, then the oldest telemetry, never an undelivered
// message of classes 0 to 3: where even that does not make room, a new message is refused
// to its face, but a warning still finds the room that is kept for warnings.
//
// # Money
//
// A link that costs has a token bucket of half its month's budget, refilled with the other
// half in thirty days, so that no thirty days cost more than the budget, but for what warnings
// overdraw. Of the bucket a share is kept for classes 0 to 2; a warning may overdraw it within
// bounds. What was spent
// commits after each parcel: a power cut may forget the parcels of the commits that it lost,
// and no more.
//
// # Links that come and go
//
// A probed link is up, suspect after a missed probe, down after several, returning from the
// first good one. Classes 0 to 3 go from that first good probe. Classes 4 and 5 wait out a
// hold-down where another wide link is up that carries them meanwhile; where none is, they
// only wait a random moment, so that ten thousand boxes do not all begin at once. Newest
// goes first, and what is in arrears fills no more than half of what may be under way.
//
// A link with a least interval between messages (a BeiDou card) is a row of slots. A slot
// takes the head of the queue and then whatever else fits; of telemetry the set that
// fills it best (the 0/1 knapsack problem, by dynamic programming over bytes).
//
// # Parts
//
// Machine is all of the above as a state machine over virtual time: no goroutine, no
// clock, no disk. Courier is the thin shell that runs it. A Link is whatever can send
// bytes; packing, MACs and counters are its own affair (reach/wire), and so is whether a
// receipt is genuine: an Ack that is handed in is believed. The numbers are data:
// configs/links.yaml, proved when it is loaded. Package courier/world is the world in
// which tests and figures run the machine.
//
// It never judges a warning, never sounds anything, and never waits for the disk.
//
// What it does not know: whether the county's receipt of a parcel that it gave up on is still
// under way, so that a link may be used twice where once would have done; and what a link does with
// parcels of several messages, of which the loss of one is the link's to mend.
//
// Sources for estimates: smoothed latency and its spread as RFC 6298 section 2 (gains 1/8, 1/4), ambiguous samples
// left out (Karn's rule, section 3 of the same) and the wait doubled while none comes (5.5 to
// 5.7); what three later parcels overtook is lost: RFC 5681 section 3.2; SO_BINDTODEVICE: socket(7).
package courier
