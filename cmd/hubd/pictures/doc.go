// Package pictures is the county's side of live pictures: stations push streams here by WHIP,
// officers see them by WHEP on a page, and who saw what, why, and from when to when is kept.
//
// A station opens no port. When the first viewer asks for a stream, the hub asks the station
// over its own NATS link (letter.Ask) to push it, with a token for that station and stream
// that is good once and for five minutes; of a token the hub keeps the digest alone. When the last viewer
// has left and nobody came for a while, it asks the station to stop. A push that broke off is
// asked for again, after pauses that grow.
//
// A viewing begins only when its beginning is on the disk, in the stream SEEN; its end follows.
// An end that could not be written, as when the hub was cut off, is shown as not known.
//
// A station that tells of alarm clips is asked to bring them, with a token for its clips alone that is good
// for five minutes and asked for anew while some are left; the shelf (video/recorder/shelf) takes them by
// parts, and names the hash to the station once the coming is written down in SEEN too. An
// officer is shown a clip as a stream: by role and mask, for a reason, written down first.
//
// What an officer may see goes by roles (hubfile.View). A mask is drawn by the viewer's page
// over a picture that reached his browser whole: nothing here decodes a picture. So a masked stream is
// given to nobody whose role the file does not name.
//
// Rooms on the way: hubfile (settings), engine (the store), relay (TURN), video/stream (one
// writer, many readers), and Media, which is video/whep.
//
// Sources: RFC 9725 (WHIP); draft-ietf-wish-whep (WHEP); RFC 6750 (bearer tokens).
package pictures
