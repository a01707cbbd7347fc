package wire

import (
	"encoding/binary"

	"tocsin/firmware/phrase"
)

// UpdateOutcome is what became of a release at a station.
type UpdateOutcome uint8

// The outcomes.
const (
	UpdateNone UpdateOutcome = iota
	UpdateStaged
	UpdateRefused
	UpdateTrial
	UpdateConfirmed
	UpdateBack
	// What became of the county's order to activate one: it is kept and waits, or is not carried out.
	UpdateOrdered
	UpdateDeclined
	updateOutcomes
)

var outcomeCodes = [updateOutcomes]string{"", "staged", "refused", "trial", "confirmed", "back", "ordered", "declined"}

// String gives the outcome's code; "" for one that this version does not know.
func (o UpdateOutcome) String() string {
	if o >= updateOutcomes {
		return ""
	}
	return outcomeCodes[o]
}

// ParseOutcome reads a code; what is none is UpdateNone.
func ParseOutcome(code string) UpdateOutcome {
	for o, c := range outcomeCodes {
		if c == code {
			return UpdateOutcome(o)
		}
	}
	return UpdateNone
}

const (
	// UpdateHead is what an UpdateItem takes beside its version and its text.
	UpdateHead = NameSize + 4 + 1 + 4 + 1
	// VersionMost is the longest version that is carried.
	VersionMost = 20
)

// UpdateItem is the short form of an update's outcome: what ItemUpdate carries.
type UpdateItem struct {
	Name Name
	// At is when, in seconds since 1970; 0 where the station had no clock.
	At      uint32
	Outcome UpdateOutcome
	// Number and Version are the release's; 0 and "" where nobody knows. A number that 32 bits
	// do not hold is sent as the largest that they do.
	Number  uint32
	Version string
	// Text says why, for people. Append cuts it at a whole rune to what fits.
	Text string
}

// Append adds the item's bytes, at most most of them; what does not fit of the text is left out.
func (u UpdateItem) Append(b []byte, most int) ([]byte, error) {
	version := u.Version[:min(len(u.Version), VersionMost)]
	switch {
	case !u.Name.Valid() || u.Outcome == UpdateNone || u.Outcome >= updateOutcomes || version != "" && !printable(version):
		return nil, phrase.E("wire.update")
	case UpdateHead+len(version) > most:
		return nil, phrase.E("wire.too_long", "bytes", UpdateHead+len(version), "most", most)
	}
	b = append(b, u.Name.Bytes()...)
	b = binary.BigEndian.AppendUint32(b, u.At)
	b = append(b, byte(u.Outcome))
	b = binary.BigEndian.AppendUint32(b, u.Number)
	b = append(append(b, byte(len(version))), version...)
	return append(b, cutText(plainText(u.Text), most-UpdateHead-len(version))...), nil
}

// ReadUpdate reads one. Text that is not UTF-8, or holds what moves a cursor, is refused.
func ReadUpdate(b []byte) (UpdateItem, error) {
	bad := phrase.E("wire.update")
	if len(b) < UpdateHead || len(b) > NarrowMost {
		return UpdateItem{}, bad
	}
	name, named := ReadName(b[:NameSize])
	u := UpdateItem{Name: name, At: binary.BigEndian.Uint32(b[6:]), Outcome: UpdateOutcome(b[10]), Number: binary.BigEndian.Uint32(b[11:])}
	n, rest := int(b[15]), b[UpdateHead:]
	if !named || u.Outcome == UpdateNone || u.Outcome >= updateOutcomes || n > VersionMost || n > len(rest) {
		return UpdateItem{}, bad
	}
	u.Version, u.Text = string(rest[:n]), string(rest[n:])
	if u.Version != "" && !printable(u.Version) || plainText(u.Text) != u.Text {
		return UpdateItem{}, bad
	}
	return u, nil
}
