// Package feed asks a warning service's feed over HTTPS, again and again, and
// hands on every CAP alert that it names or carries.
//
// It knows Atom (RFC 4287) and RSS 2.0, entries that link to a CAP document and
// entries that carry one as their content (as an element or as text), and hands
// on the very bytes. It asks with the validators that the server gave (ETag and
// Last-Modified: RFC 9110, sections 8.8 and 13.1) and backs off, spread by the
// randomness that it is given, when the server does not answer. A feed that
// stays silent longer than its configured time is a fault that is told: a way
// in that is dead must never look like a calm sky.
//
// It never judges an alert. A feed is a way in and is believed for nothing: the
// alert's own signature decides, in the verifier that Take leads to, and TLS
// only keeps others from reading along and from wasting the box's time. It
// follows no link and no redirect to a host that its configuration does not
// name, speaks no plain HTTP and no TLS below 1.2, takes no address with a name
// and a password in it, and reads no more bytes, entries, levels or links than
// its bounds say, counted after decompression. It keeps nothing but which
// entries it has handed on, and no sound waits for it.
//
// Sources: RFC 4287 (Atom) sections 3.1.1, 4.1 and 4.2; RSS 2.0 (Advisory Board, elements of channel
// and item); CAP-v1.2-os section 2.1 and its media type application/cap+xml;
// RFC 9110 sections 10.2.3 (Retry-After), 13.1 and 15.4; RFC 3986 section 5 for
// relative links, with xml:base.
package feed
