package compact

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// Day is a UTC day, counted from 1970-01-01.
type Day int

// DayOf gives the day of an instant.
func DayOf(t time.Time) Day { return Day(floorDiv(t.Unix(), 86400)) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// At gives a minute of the day.
func (d Day) At(minute uint16) time.Time {
	return time.Unix(int64(d)*86400+int64(minute)*60, 0).UTC()
}

// context is what is signed: the 14 bytes, and what they do not say.
func context(body []byte, key trust.KeyID, day Day, region string) ([]byte, error) {
	id, err := hex.DecodeString(string(key))
	if err != nil || len(id) != 16 || len(body) != BodySize {
		return nil, phrase.E("compact.fields")
	}
	b := append([]byte("tocsin compact warning 1\x00"), body...)
	b = append(b, id...)
	b = binary.BigEndian.AppendUint32(b, uint32(day))
	return append(append(b, byte(len(region))), region...), nil
}

// Sign gives the 78 bytes of a warning that is issued on a day for a region. An alert's chain must be of
// that day; an update's or a cancel's at most seven days older.
func Sign(w Warning, key trust.Signer, day Day, region string) ([]byte, error) {
	if key.Algorithm() != trust.EdDSA {
		return nil, phrase.E("compact.key")
	}
	if !w.Type.about() && Day(w.Chain.DayBits) != day&7 {
		return nil, phrase.E("compact.day", "day", day.At(0).Format(time.DateOnly))
	}
	body, err := w.Pack()
	if err != nil {
		return nil, err
	}
	id, err := trust.IDOf(key.Public())
	if err != nil {
		return nil, err
	}
	m, err := context(body, id, day, region)
	if err != nil {
		return nil, err
	}
	sig, err := key.Sign(m)
	if err != nil {
		return nil, err
	}
	return append(body, sig...), nil
}

// Text gives the form for SMS: 104 characters of base64, all of them in the seven-bit alphabet of GSM.
func Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// ReadText reads it; blanks and line ends that a phone put in are passed over. false: it is something else.
func ReadText(s string) ([]byte, bool) {
	if len(s) > 400 {
		return nil, false
	}
	s = strings.Join(strings.Fields(s), "")
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != Size || b[0]>>4 != version {
		return nil, false
	}
	return b, true
}

// Is tells by length and first bits whether bytes of a link may be a compact warning; see reach/wire's table of first bits.
func Is(b []byte) bool { return len(b) == Size && b[0]>>4 == version }
