// Package talk is what a person at the county and a box agree on when that person
// speaks by the box's loudspeakers: how a session is opened by a signed order, how
// the voice is sealed from the one to the other, and what the box says back. Whoever
// carries it (the hub, NATS, a child process, a media gateway) carries opaque bytes:
// it can lose them or hold them up, and can neither hear them, nor change, repeat or
// aim them at another box.
//
// It is bytes and keys only: it opens no connection, plays nothing and judges no
// order. That the order is genuine, meant for this box, in force and unused is
// decide/command's to say, and what may sound sound/order's.
//
// # The order
//
// A session is opened by a command of scope "talk" (decide/command: a DSSE envelope,
// with one signature for each person who releases it). Beside the fields of every
// command it may have outputs or zones (without, every loudspeaker), and has seconds (how long at the longest) and
//
//	"talk": {"key": "<64 hexadecimal digits>", "codec": "pcma", "frame_ms": 20}
//
// key is an X25519 public key (RFC 7748, 6.1) that the talker made for this order
// alone; codec is pcma or pcmu (ITU-T G.711, 8,000 samples a second); frame_ms is 20,
// 30, 40 or 60. order is SHA-256 over the envelope's payload, byte for byte.
//
// # The answer
//
// The box answers with a DSSE envelope of its own, payload type
// application/vnd.tocsin.talk-answer.v1+json, signed with the key by which the county
// knows the box (the identity that its page shows):
//
//	{"version":1,"order":"<hex>","box":"330483105203","open":true,
//	 "key":"<hex>","signer":"<base64>","outcome":{"zh":"…","en":"…"}}
//
// key is the box's own X25519 public key, made for this session; signer is the box's
// public key as DER SubjectPublicKeyInfo, in which the talker finds the name that it
// has pinned (the first 16 bytes of SHA-256 over it). A refusal has open false, no key,
// and says why in outcome. A talker goes on only where the signature holds, the signer is the pinned one,
// box is the box that it means, and order is its own.
//
// # The keys
//
//	secret = X25519(own, other's); all zero is refused
//	salt   = SHA-256("tocsin talk 1" | order 32 | talker's key 32 | box's key 32 | box)
//	voice  = HKDF-SHA-256(secret, salt, "tocsin talk 1 voice", 32)
//	report = HKDF-SHA-256(secret, salt, "tocsin talk 1 report", 32)
//	id     = HKDF-SHA-256(secret, salt, "tocsin talk 1 id", 8)
//
// Both sides forget their private keys when the session is open: what was recorded on
// the way cannot be opened later by whoever gets the signing keys.
//
// # The frames
//
//	0        1                9                13
//	+--------+----------------+----------------+-------------------+-----------+
//	| v:4 k:4|     id 64      |   number 32    |  ciphertext       | tag 128   |
//	+--------+----------------+----------------+-------------------+-----------+
//
//	kind 1  voice    talker to box: frame_ms of G.711, one byte a sample
//	kind 2  end      talker to box: number of the last voice frame, 32 bits
//	kind 3  report   box to talker: JSON, see Report
//
// v is 1. The AEAD is ChaCha20-Poly1305 (RFC 8439) with voice for kinds 1 and 2, report
// for kind 3; the nonce is 8 zero bytes and the number; the first 13 bytes are the
// associated data. Numbers begin with 1 and never come again: kinds 1 and 2 share them. A voice frame's number
// is also its time: frame n begins (n-1)·frame_ms after the first. The box takes
// frames in any order within the last 128 numbers, each once (the way of RFC 4303,
// 3.4.3).
//
// Sources: RFC 7748; RFC 5869; RFC 8439; DSSE 1.0.2; ITU-T G.711 (11/88).
package talk
