// Package beacon lets stations warn each other with no county in reach: a station whose own
// gauges have reached a level says so in 78 bytes that it signs, over whatever carries short
// messages (a LoRa mesh, BeiDou), and the stations downstream that its county named raise the
// level that their own site defines for it, until it expires.
//
// It only ever raises. There is no beacon that lowers or ends a level: what stands runs out
// by itself, the all-clear is a person's or a signed order's. Only what a station measured
// is sent, never what another's beacon or a county's warning raised there, so that no two stations
// can hold each other up. Which station is believed, for which of its hazards, which level that
// raises here, how long water takes and how long it then lasts is the site's own file.
//
// It makes no sound, opens no link and asks no clock; Keeper is a state machine over what comes
// in.
//
// # The message
//
// 14 bytes and a signature of 64. It begins like a compact warning (decide/alert/compact), whose
// type 7 it is; so the table of first bits of reach/wire holds.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------+-----+-+-------------------------------+-----+---------
//	|0 0 0 1|1 1 1|D|       station (16)            |days |  minute
//	+-------+-----+-+-------------------------------+-----+---------
//	 (11)       |   serial (8)  |  hazard (8)   |rank(4)|lasts (6)  |
//	------------+---------------+---------------+-------+-----------+
//	 zeros (48)                                                     |
//	----------------------------------------------------------------+
//
//	D        an exercise: it raises nothing and is shown
//	station  its number in the county's table, 1 to 65535
//	days     low bits of the UTC day (since 1970) on which it was issued; minute: of that day
//	serial   the station's own: tells two of one minute apart
//	hazard   row of configs/alerts/beacon.yaml; rank: row of the levels, 1 the lowest
//	lasts    tens of minutes for which the sender's measurement counts, 1 to 63
//
// The signature is by the box's own key (ECDSA P-256 with SHA-256, r and s of 32 bytes each; FIPS
// 186-5), SM2 with SM3 (GB/T 32918.2) or Ed25519 (RFC 8032), over
//
//	"tocsin beacon 1" | 00 | the 14 bytes | key id (16) | UTC day since 1970 (4, big-endian)
//
// Key id as trust.IDOf writes it. Neither it nor the day is sent: the box tries the key that its site
// pins for the station over the days that may be.
//
// # What is believed
//
// With a trusted clock: what was issued at most its own lasting and the water's way ago, and
// at most ten minutes ahead. Without one: what is not older than the clock's floor, nor than two hours before the
// newest that this station had sent. Each message counts once, over power cuts: its digest is kept.
//
// # Relaying
//
// A message of a station that the site knows, and that is new, may be passed on as it is, unchanged. Each is passed on
// once, at most so many of one station and of all in an hour, so that neither a loop nor a
// station gone mad fills the air.
//
// The form is ours.
package beacon
