// Package compact is the warning that fits where nothing else gets through: 14 bytes and the authority's own
// signature, 78 bytes in all. One BeiDou message of a level 3 card, one LoRa packet, one SMS in
// base64 carries it; any station and any relay may pass it on unchanged, and every box verifies it
// itself, with no county in reach. What it says in full is in a table that the boxes hold
// (configs/alerts/compact.yaml): event, words, places. It becomes the same canonical alert.Alert as CAP does, and ends in
// alert.Reader's Settle and Permit: the same book, plan and page serve it.
//
// It never sounds anything, asks no clock, and keeps nothing; that a warning counts once is the book's matter, by
// the reference that each gets.
//
// # The 14 bytes
//
// Bits are counted from the highest. Whoever reads them refuses what could be written otherwise.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------+-----+---------------+-----+---------------+-----+-----
//	|0 0 0 1|type |    issuer     |days |    serial     | seq | event
//	+-------+-----+---------------+-----+---------------+-----+-----
//	 of 8     |sev|urg|cer|    start (11)       |duration |mod|area
//	----------+---+---+---+---------------------+---------+---+-----
//	 area (26)                                            |template
//	------------------------------------------------------+---------
//	 template  |       p       |      q      |
//	-----------+---------------+-------------+
//
//	version   4  1; a narrow message of reach/wire begins with 100, text with anything from 20 on: see its table of first bits
//	type      3  0 alert, 1 update, 2 cancel, 3 test, 4 all clear, 5 drill, 6 cancel of a drill; 7 is refused: decide/beacon has it
//	issuer    8  1 to 255: compact.number of the trust document
//	number   14  days 3: low bits of the UTC day (since 1970) on which the chain began; serial 8: the issuer's own of that
//	             day; seq 3: 1 to 7 for an update, in order, 0 for all else
//	event     8  severity 2, urgency 2, certainty 2: rows of the table
//	start    11  minute of the UTC day of issue: when an alert begins; when an update or a cancel was issued, which is never in the future
//	duration  5  row of the table, from 10 minutes to 7 days
//	area   2+26  0 division: the six digits of the code that follow the issuer's region, zeros cover all below
//	             1 circle: 11 bits north, 11 east (cells of the region's grid), 4 radius (row)
//	             2 listed: row of areas      3 the region: 26 zeros
//	template 10  p 8, q 7: what the row does with them
//
// In a cancel everything from event on but start and template is zero.
//
// Condense goes the other way, for who signs: what it cannot say exactly it says wider or longer, and tells; what it cannot say it
// refuses. The template and its two numbers are chosen by a person.
//
// # The signature
//
// Ed25519 (RFC 8032) over
//
//	"tocsin compact warning 1" | 00 | the 14 bytes | key id (16) | UTC day of issue since 1970 (4, big-endian) | length of region (1) | region (ASCII digits)
//
// The key id is the first 16 bytes of SHA-256 over the key's SubjectPublicKeyInfo, as trust.IDOf writes it. Neither it nor the day is sent: the box tries
// its issuer's pinned keys over the days that may be: with a trusted clock today, tomorrow and eight days back; without one also four
// hundred days from the floor on. What begins a chain says three bits of its day, so an eighth of them is tried.
//
// # What it becomes
//
// An update takes the place of the alert and of the updates before it; a cancel ends them all, also those that never came
// here, and also when it comes first. That works because every reference follows from issuer, day, serial and sequence alone. So the sent of an alert is the
// first second of its chain's day and an update's that of its sequence: nominal, and shown with the true start
// beside it (effective, onset). A cancel, which nobody names, bears its own minute. Update and cancel reach their chain up to
// seven days later.
//
// An event, a template or a place that this box's table does not have costs the words and nothing else: severity and area still
// act, and a finding says what is missing.
//
// # What is spoken
//
// A row's speech says the same from clips (speech.go): fixed pieces, the hazard, the numbers read aloud with their units (numbers.go), and the
// area and the place where clips of them are there. It goes with the alert.Action; who has the clips puts them together.
//
// Sources: the domain's proposal (112 bits and a signature); Galileo's Emergency Warning Satellite Service and ETSI TR 103 338 for the idea of
// a short alert from a common table; RFC 8032; 3GPP TS 23.038 for the alphabet of SMS.
package compact
