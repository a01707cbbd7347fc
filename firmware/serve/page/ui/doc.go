// Package ui carries the consoles that run in a browser: the box's (Station) and the
// county's (County), each served below /console/ by its own program, which carries no
// other. Their sources are Svelte and TypeScript in lib (what both share), station and
// county; `make ui` builds them into dist, which is embedded here and not committed. Where it was not built, a placeholder says so, so that Go alone builds and
// tests the rest.
//
// Files are kept gzipped, half the room in the program and nothing to do for each
// caller; one who does not take gzip has them unpacked. What carries its hash in its
// name may be kept for ever; the page that names them is asked for again each time.
//
// The package knows nothing of a box or of who calls: the server's gate is before it.
//
// Sources: RFC 9110 (8.4 content coding, 8.8 validators), RFC 8246 (immutable).
package ui
