// Package wire is the bytes that go over links: envelopes for IP, and short messages for
// satellites, radios and SMS, where every byte is paid for. It is bytes only: no links, no
// clocks, no files, no goroutines. What must be kept over a power cut is given out and taken
// back (Counter, Window); keys come in. What the courier does with it is not its matter.
//
// What follows is the whole format, so that others can write and read it.
// testdata/vectors.txt holds bytes for each part; a version is never changed once it was released, it gets a successor.
// Numbers are big-endian, bits are counted from the highest.
//
// # First bits
//
// The first bits of a message say what it is, on every link. None of our forms begins as text in ASCII,
// UTF-8 or GB 2312 does, so that people's own messages and other protocols on the same card or
// channel are never taken for ours (hex and base64 are taken off first).
//
//	first byte  bits       what
//	00 – 0F     0000       nothing; what fresh memory holds
//	10 – 1F     0001       compact signed warning, version 1 (decide/alert/compact)
//	20 – 7F     001 – 011  text, NMEA, SL 651 (7E), HJ 212 (##), base64
//	80 – 9F     100        narrow message, format 4 (the first)
//	A0 – C0                text in GB 2312; BeiDou's mixed text (A4)
//	C1          1100 0001  envelope, version 1
//	C2          1100 0010  sealed datagram, version 1
//	C3 – FF                text in UTF-8 or GB 2312
//
// # Narrow message
//
// Eleven bytes around the content: of the 78 that a BeiDou card of level 3 carries in code mode (and that a LoRa packet of one second
// carries) 67 are left.
//
//	 0                   1                   2
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3
//	+-----+-----+---+-------------------------------+
//	|1 0 0|class|knd|  counter, its low 16 bits     |
//	+-----+-----+---+-------------------------------+
//	|  content …                                    |
//	+-----------------------------------------------+
//	|  MAC, 8 bytes                                 |
//	+-----------------------------------------------+
//
//	class  0 red or orange warning, 1 command, 2 receipt, 3 alarm, 4 telemetry, 5 bulk; 6 and 7 are refused
//	kind   0 whole (items), 1 fragment, 2 acknowledgements alone, 3 service (items about time and keys)
//	MAC    first 8 bytes of HMAC-SHA-256(key m, direction (1) | counter (6) | length of from (1) | from | the message without its MAC)
//
// from is the sender's name on the link (BeiDou card, mesh node), as text; it is not sent: the link tells it. direction is 0 up, 1
// down, 2 aside (between stations).
//
// Counters have 48 bits, begin at 1, never come twice in a direction, and outlive keys. The sender reserves them in blocks of 1,000,
// on disk before use. The receiver takes the counter with those low bits that lies nearest to its highest (within 2^15), and
// where the MAC does not fit tries the four above it, each 2^16 further (the 1,024 above it where it has heard nothing yet); with each key of the epochs in use.
// A sender that finds nothing kept, though it may have sent before, begins at 32 for each second since 2020-01-01 00:00 UTC. A receiver with a clock tries those
// within 1,024 turns of 2^16 (24 days) of that, too, so at most 2,054 for a key; where it has heard nothing yet, all from 1 to there: some 100,000 in 2026. Each counter is taken once; those 256 or more below the
// highest are refused. The receiver keeps its window on disk before it acts.
//
// Commands are enciphered, and what else both ends agreed on: AES-128-CTR with key h over the content, initial block counter (6) | ten zeros. The MAC is
// over what is on the air.
//
// # Keys
//
// Station and county share a root of 32 bytes, provisioned over IP or by hand. A key is HKDF-SHA-256 (RFC 5869) of it, without salt, with
//
//	info = "tocsin wire 1" | letter | direction (1) | epoch (4) | station's name
//	letter  m MAC (32 bytes), h cipher of narrow content (16), w envelope's MAC (32), d datagram (32)
//
// What both ends keep counters and windows under is named by six bytes of the same with info = "tocsin wire 1i" | station's name, in all epochs alike.
//
// An epoch is a number that rises. No epoch is on the air in a narrow message: while keys roll over, the
// receiver tries those of both. An ItemEpoch (4 bytes) tells which one the sender uses from now on.
//
// # Items
//
// The content of kinds 0 and 3 is a row of items. The last may leave its length out and go to the end: that is
// what the first bit says. Types that a receiver does not know it passes over.
//
//	+-+-------+--------+-------+      +-+-------+----------------+
//	|0| type  | length | bytes |  …   |1| type  | bytes to end   |
//	+-+-------+--------+-------+      +-+-------+----------------+
//
//	1 telemetry block      2 acknowledgement (10 bytes)   3 receipts            4 request for fragments (2)   5 alarm
//	6 command              7 compact warning (78)         8 text for people     9 clock (7)                   10 epoch (4)
//
// # Names
//
// What a station sends up has one name on every link: Outbox, drawn at random when the outbox is made, and Seq, from 1. As text six lower-case hexadecimal
// digits, - and Seq in decimal without leading zeros: a1b2c3-17. In items six bytes:
//
//	+-----------------------+-----------------------+
//	| outbox 24             | seq 24                |
//	+-----------------------+-----------------------+
//
// # Alarm
//
// The short form of an alarm. hazard is the code, 1 to 16 printable ASCII; the text goes to the item's end: UTF-8 on one line, cut at a whole rune
// to what fits, and without what moves a cursor or turns the direction of writing.
//
//	+---------+---------+-------+------+----------+----------+--------+-------
//	| name 48 | at 32   |event 3|rank 5| cause 16 | length 8 | hazard | text …
//	+---------+---------+-------+------+----------+----------+--------+-------
//
//	at     seconds since 1970, 0 unknown      event  0 raised, 1 escalated, 2 eased, 3 again, 4 released
//	rank   of the level, by the station's table     cause  first two bytes of SHA-256 of the alarm's id
//
// # Acknowledgement
//
// Ten bytes, for up to 33 messages. It is sent when they are kept, not when they come.
//
//	+------------------------+--------------------------------+
//	| base: a counter (48)   | bit n: base+1+n is kept too    |
//	+------------------------+--------------------------------+
//
// # Receipts
//
// How far a warning got, at up to 32 stations; 22 of them fit into one message of 78 bytes.
//
//	+-+--------------------------------------+-------+----------------------+----
//	|1| issuer 8 | day 10| number 14|type 3|0 3| n-1 5 | station 16 stage 3 why 3 | …
//	|0| digest 38                            |       |                      |
//	+-+--------------------------------------+-------+----------------------+----
//
// The first form names a compact warning: the low ten bits of the UTC day since 1970-01-01 on which its chain began, the fourteen of its number (three of that day, serial, sequence), its type. The second any alert, by the first 38 bits of SHA-256 over its "sender,identifier,sent"
// with sent as 2006-01-02T15:04:05Z. Stage: 0 received, 1 verified, 2 sounding, 3 played (not measured), 4 heard (measured), 5 confirmed by a
// person. Why it is not higher: 0 nothing wrong, 1 elsewhere, 2 refused, 3 ended before, 4 shown only, 5 outputs failed, 6 listened and not heard, 7 done but not
// kept. Of two of one station the higher stage holds, then the higher why: so copies and disorder do no harm.
//
// # Fragments
//
// A content longer than a message, up to 16 shards, with up to 16 of parity; any as many as there are data shards give it back.
//
//	+---------+-----+---------+----------------+
//	| index 5 |k-1 4| group 7 | shard          |
//	+---------+-----+---------+----------------+
//
// The content (of reach/narrow: a CRC-32 of what follows, then items), its length (16 bits) before it and zeros behind it, is cut into k shards of equal size: indices 0 to k-1. Shard k+j is
// parity: byte by byte, the value at x = k+j of the polynomial of degree below k that has the data's bytes at x = 0 to k-1, in GF(2^8) with
// x^8+x^4+x^3+x^2+1 (the systematic Vandermonde form). One byte less would have been enough for 16 indices; 32 need two. group is
// one higher for each content of a class. A receiver that lacks some asks for n more (ItemMore: class 3, n-1 6, group 7 bits), never for which:
// the sender goes on with shards that it has not sent.
//
// # Telemetry block
//
// Readings of the channels of a dictionary that both ends know, at equal steps, as whole numbers of 32 bits in each
// channel's own resolution. The domain's proposal, deltas in Rice codes, took 8,660 bits for the calm day of the bench and 10,540 for the storm; guesses that follow
// noise and slope, and an arithmetic coder that knows how far they are off, take 6,940 and 9,330. So that is what a block is.
//
//	+------+--------+-+-+-+-+--------+-------+----------+ - - - - - - + - - - - +----------
//	|dict 3|number 6|K|G|T|A|back-1 4| n-1 7 | check 16 | minute 14   | step-1 8| coded …
//	+------+--------+-+-+-+-+--------+-------+----------+ - - - - - - + - - - - +----------
//
//	K  key frame: builds on nothing (back-1 is 0, A is 0); minute and step follow
//	G  some values are missing     T  some channels are thinned     A  begins one step after the end of its base; no minute follows
//	number  one higher for each block; back: the base is block number-back (modulo 64)
//	n  rows     minute  of the week since 1970-01-01 00:00 UTC, taken nearest to when it came     step  in minutes
//	check  CRC-16 (polynomial 1021, from FFFF) over: channels (1 byte), minute since 1970 (4), step (2), then channel by channel, row by
//	       row: state (1: 0 missing, 1 exact, 2 between) and, unless missing, the value (4)
//
// The coded part is one stream of the arithmetic coder (Witten, Neal and Cleary 1987: registers of 32 bits, whole = 2^16, low end
// first, no end symbol), beyond its last byte it is zeros. "raw n" is n bits of equal chance, at most 8 at a time from the high end. Channel after channel:
//
//	if G   one flag a row: is there a value
//	if T   raw 4: level; 0 is whole, else the tolerance is 2^(level-1), and one flag for each value that is there: was it kept
//	then   the values that are there (and kept), one after the other
//
// A flag is true in [0, e), false in [e, 2^16), e = yes*(2^16-2)/all + 1, yes and all counting from 1 and 2 in each row of flags, yes where true, all always.
//
// The first value of a channel after a key frame is raw 6: how many bits, then those of its zig-zag (0, -1, 1, -2, …). Any further one
// is coded by the channel's state, which the end of the base block left, and which is all integers: "fine" is 256ths, / rounds toward
// zero, >> down.
//
//	start v    last = v, smooth[i] = 256v (i = 0 to 3), slope = 0, miss[j] = 256+j (j = 0 to 7), scale = 512, count = 0
//	guess j    j < 4: smooth[j];  else smooth[j-4] + (slope*(2, 3, 5, 10)[j-4] >> 1)
//	best       the guess with the least miss, of equals the first
//	code v     centre = (best + 128) >> 8; shift the least with (scale >> 8 >> shift) < 64; d = (v - centre) >> shift
//	           |d| > 255: [65023, 65536), then raw 32 of the zig-zag of v
//	           else [B(d), B(d+1)), then raw shift of the low bits of v - centre
//	B(d)       0 for d ≤ -255, 65023 for d > 255, else (S(t)*64512 >> 22) + d + 255
//	           t = ((centre + d*2^shift)*256 - 128 - best) * 1024 / scale
//	S(t)       t < 0: 2^22 - S(-t); t = min(t, 8191), i = t >> 5, f = t & 31: L[i] + ((L[i+1]-L[i])*f >> 5)
//	           L is logistic.go: 2^22/(1+exp(-πx/√3)) at x = i/32
//	learn v    off = min(|256v - best|, 16*scale + 256); count = min(count+1, 16); m = max(2, count)
//	           scale = (scale*(m-1) + off*5/4) / m, at least 16, at most 2^40
//	           miss[j] += (|256v - guess j| - miss[j]) >> 4      (guesses of before)
//	           slope += ((v - last)*256 - slope) >> 3;  smooth[i] += (256v - smooth[i]) >> i;  last = v
//
// Where values were left out (T), they lie on straight lines between those that were kept, rounded to the nearest, halves up, and are within the
// tolerance. Nothing is filled in where a value is missing, nor across it. A block that does not agree with its check, or builds on one that is
// not here, gives no value at all; numbers go round, so that of one that builds on another both mean that its base may still come.
//
// Blocks build on acknowledged ones, or on a bounded chain of blocks that are not yet: then one that is lost holds up those that build on it until it
// has been sent again.
//
// # Clock
//
// 48 bits of milliseconds since 1970, then one byte w: it is within 2^w milliseconds.
//
// # Envelope
//
// Over IP a message is an envelope. It is a form of our own and not CBOR: what is fixed stands at fixed places, so that the code that meets
// foreign bytes first is a few lines with no recursion; there is one way to write each envelope, so its seal is over the bytes as they are. A CBOR map with
// numbers for keys would be as short, and would bring a library's whole grammar to that place. Later versions add extensions.
//
//	+----+-------+------+------+-----+---------+----------+---------+--------+------+-------+---------+-----------+ - - - - - - - -+
//	| C1 | flags | type | boot | seq | created | deadline | station | (slot) | to   | exts  | length  | content   | epoch  MAC     |
//	| 1  | 1     | 1    | 8    | 6   | 6       | 4        | 1+n     | 1+n    | 1+n  | 1+…   | 4       | n         | 4      16      |
//	+----+-------+------+------+-----+---------+----------+---------+--------+------+-------+---------+-----------+ - - - - - - - -+
//
//	flags    class 3 | a slot follows 1 | clock 2 (0 none, 1 free, 2 network, 3 GNSS) | 0 | sealed 1
//	type     1 telemetry block, 3 receipts (as the items); 16 CAP document, 17 dictionary of telemetry (JSON), 18 state of the station (JSON)
//	created  milliseconds since 1970, 0 unknown;  deadline  seconds after it, 0 never
//	station  1 to 64 bytes of printable ASCII without / * >;  slot, to  up to 64 bytes
//	exts     their count (at most 16), then each: must 1 | type 7, length 2 (at most 4,096), bytes. Who does not know one that must be known may pass the envelope on and not act on it
//	MAC      first 16 bytes of HMAC-SHA-256(key w, all before it)
//
// Its name, for queues that drop duplicates, is station/boot/seq: boot in 16 hexadecimal digits, drawn at random when an outbox is made. What a
// station sends up has boot = outbox and seq = seq of its name.
//
// # Datagram
//
// For IP that is paid by the byte: C2 | epoch's low 8 bits | index 4 | counter 6 | AES-256-GCM of the content with its tag of 16. Key d, nonce direction (1) | five
// zeros | counter (6), the first twelve bytes authenticated. index is the station's number in the county's table.
//
// Sources: RFC 2104 (HMAC), RFC 5869 (HKDF), RFC 6479 (the idea of a bit window), NIST SP 800-38A (CTR) and 38D (GCM), I. H. Witten, R. M. Neal, J. G. Cleary: Arithmetic coding for data
// compression (CACM 30(6), 1987), U. Ramer (1972) and D. H. Douglas, T. K. Peucker (1973) for lines, I. S. Reed, G. Solomon (1960).
package wire
