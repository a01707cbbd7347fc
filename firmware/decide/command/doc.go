// Package command reads signed commands: sound, stop, drill, volume,
// configuration, talk, software. A command is a JSON payload in a DSSE envelope (DSSE 1.0.2)
// that names the key it is counted under, the group of boxes it is for, a number that only
// rises, when it was issued and when it ends.
//
// It never makes a sound and is never an order by itself: the station asks
// sound/order for one, and the bounds of this box (who, what level, which outputs, how
// long, how often) hold for it as for everybody. A validly signed command
// can be wrong too.
//
// # The checks, in this order
//
//	bounds     the envelope's size and its number of signatures
//	form       every field: known, once, of its type, within its bounds, and what
//	           the scope asks for or forbids; nothing else is read
//	genuine    the signature of the key that the payload names holds over the
//	           payload's bytes, and it is those bytes that were read
//	trust      the key is pinned for an issuer, was valid when the command was issued, and
//	           is not revoked
//	address    the group is one of this box's, and where boxes are named it is one
//	scope      the issuer may give commands of the scope, and as many distinct persons
//	           of it have signed as the scope asks for
//	expiry     with a trusted clock: not ended, not issued ahead of it by more than
//	           the tolerance. Without one: not ended before the floor, which is the latest of
//	           the box's own floor, the issuer's last signed time and the build's time.
//	           All else that is unseen passes and is marked. An issuer's last signed time that a
//	           trusted clock then shows to lie ahead of it by more than any command lives
//	           is put right: else one wrong clock would expire all that the issuer says for good.
//	counter    not taken before (trust.Counters): last, so that what is refused
//	           uses no number up
//
// Each refusal says which check, the path of the field, and why, in both
// languages. What Open passes has its counter reserved: the owner of the
// Counters keeps their Snapshot before anything sounds, and where the disk is dead
// the command acts all the same and its receipt says so.
//
// Sources: issue 4 point 3; the activation rule set of domain/webux.md 4;
// DSSE 1.0.2 (protocol.md, envelope.md); RFC 8259; RFC 3339.
package command
