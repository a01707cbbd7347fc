// Package narrow is one end of a narrow link between a station and its county: a
// BeiDou card, a mesh, a satellite or telephone modem, of which each message costs a
// slot or money. It makes messages of contents and contents of messages (the bytes are
// reach/wire's) and keeps what must outlive a power cut. The station sends Up with it, the
// hub Down; both are the same code.
//
// # What it promises
//
// A counter is reserved on the disk before it is used and never comes twice between a
// pair, whatever the links and the power cuts. A message is taken once: the window is on
// the disk before Hear gives what was in it. One whose window could not be kept is not
// acted upon and may come again; only a warning of class 0, which carries its authority's own
// signature, is given all the same and says Unkept: it sounds, and is not
// acknowledged.
//
// An acknowledgement says that the far end's caller kept the content for good (Kept), not
// that a message came. Whoever hears none sends the content again, in a new message, for ever or
// as long as the courier likes. So a content may come more than once after one end lost
// its memory; it carries its own name (wire.Name, a block's number, a warning's), by which
// whoever keeps it knows it.
//
//	          Pack                                        Hear
//	parts ──> items together, where they fit ──> air ──>  items, each message once
//	          fragments + parity, where not               fragments put together, once
//	Acked <── counters to ids <────────────────  air <──  Acks or along with Pack <── Kept
//
// Whatever the air does, End gives no content that the far end did not pack: messages have
// MACs, and a content of fragments has a checksum of its own against shards of two contents
// whose numbers went round.
//
// # Items and fragments
//
// Parts go together in the order in which they are given, as many as a message holds; those of a hidden
// class (commands) only with their own. A part that fits no message is split in shards, of
// which any as many as there are data shards give it back. How many of parity go
// with them is reckoned from Opts.Loss, so that 999 in 1,000 contents of classes 0 to 3, and 9 in
// 10 of the others, need nothing more. What then lacks is asked for (Ask) once nothing came for AskAfter, as "n more", and answered
// by shards that were not sent yet (Result.Send). A part that is packed again goes on from there too,
// and begins a new group when all its shards have gone out.
//
// # Acknowledgements
//
// They ride along with what Pack makes, where there is room, and cover what was kept before too, as far
// as the 33 of one reach, so that one that is lost does little harm. Acks makes a
// message of its own: how soon is the link's to say. On BeiDou, where it would cost a slot, never
// before some ten wait.
//
// # Keys that roll over
//
// Each end tries all its keys on what comes. It seals with the newest that the far
// end is known to have: because it sealed with it, or said so (ItemEpoch, which rides along while an
// end has more than one). Where nothing is heard for long, it tries its keys in turn.
//
// # What is kept
//
// Under the pair's name (wire.Keys.Pair), so that a new root begins anew, and under the peer's name on
// the link, which is part of each MAC: a renamed link loses nothing, and old messages
// are of no use to anybody on a new card.
//
//	narrow/<pair>/<direction>/sent           counters up to it may be used: decimal
//	narrow/<pair>/<direction>/heard/<peer>   the window: JSON of wire.WindowState
//
// What cannot be read is an error of New, never a beginning at zero. Where nothing is there, a station begins
// by its clock (Counters.Clock), above what it can have used before its disk was lost, and the hub looks for it
// there (Opts.Now). The hub's own counters begin at 1: one that lost its disk needs new roots to be heard.
//
// It never sounds, judges or opens anything, starts no goroutine but the Link's, and
// holds no more than some hundred counters, eight contents that come and eight that go.
//
// Sources: reach/wire; I. S. Reed, G. Solomon (1960) for fragments.
package narrow
