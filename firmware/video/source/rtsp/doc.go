// Package rtsp takes pictures by RTSP and gives them again by it.
//
// A Puller asks a camera: it connects, describes, sets up the picture and the sound
// that can be carried, and plays, for ever: a connection that ends is tried anew after
// a pause that grows and is spread, or at once when Wake is called. A camera that has a
// lower stream too (a second URL) is changed to it without a gap: the second connection is
// opened beside the first, and its next key picture goes into the same Writer in the
// place of the first's, which is then given up.
//
// A Server is what drones and encoders push to (ANNOUNCE, RECORD) and what a local
// recorder or player reads from (DESCRIBE, PLAY), on one port. Who publishes needs the key
// of the stream, who reads its view key; either is the password of the URL's user
// (any user name; basic, and digest where the keys are known) or ?key=. A pusher that lost
// its link and comes back takes its stream over from its own silent connection. Whoever cannot
// take what is sent in time loses whole groups of pictures; nobody waits for him.
//
// Sound that cannot be carried (AAC) is not set up and noted; a push that announces
// tracks and never sets them up, or describes its sound wrongly, is taken all the same
// for its pictures. Pictures are put together by time stamp and marker, and a picture
// of which a packet was lost is not passed on in part.
//
// Connections and sessions are bounded, in all and of one address. RTSP through HTTP
// or WebSocket is refused: nothing here needs it.
//
// What it does not do: multicast, SRTP, back channels, MIKEY, playback from a
// recording. Between packets that UDP brought out of order it waits for up to 64 later ones,
// so a lost packet holds up a thin stream longer than a fat one; TCP is the default.
//
// Sources: RFC 2326; RFC 3550; RFC 4566; RFC 6184 (5.6–5.8); RFC 7798 (4.4); RFC 2617.
package rtsp
