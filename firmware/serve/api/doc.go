// Package api is the served surface of the box: /api/v1 for the local tools and
// the local network, /metrics for whoever collects figures, and the frame that
// the pages hang in. One handler serves two listeners: a Unix socket, on which
// root and the service's own user have every right by their credentials
// (SO_PEERCRED), and the local network, which sees and may only stop, with the
// stop token.
//
// It knows the box by the interface Box alone. It never holds up the alarm path,
// never decides what sounds, changes nothing on a GET, and refuses what no role
// was declared for. No crowd keeps others out: who sits on every connection, stream or
// share of the processor loses it to whoever comes anew, and nobody who is signed in does.
// Nothing of it is fatal: a busy port is a fault that is
// called and tried again.
//
// Sources: RFC 9457 (problem details), RFC 6750 (bearer token), OWASP ASVS 4.0
// (V13 API, V14.4 headers), domain note on the web, section 4.
package api
