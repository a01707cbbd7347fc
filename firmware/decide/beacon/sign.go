package beacon

import (
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// dayOf is the UTC day of an instant, since 1970.
func dayOf(t time.Time) int64 {
	s := t.Unix()
	if s < 0 {
		s -= 86399
	}
	return s / 86400
}

// signed is what is signed: the 14 bytes, and what they do not say.
func signed(body []byte, pub crypto.PublicKey, day int64) ([]byte, error) {
	key, err := trust.IDOf(pub)
	if err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(string(key))
	if err != nil || len(id) != 16 {
		return nil, phrase.E("beacon.fields")
	}
	b := append([]byte("tocsin beacon 1\x00"), body...)
	return binary.BigEndian.AppendUint32(append(b, id...), uint32(day)), nil
}

// Sign gives the 78 bytes of what is issued at an instant; its DayBits and Minute are set.
func Sign(m Message, key trust.Signer, at time.Time) ([]byte, error) {
	at = at.UTC()
	m.DayBits, m.Minute = uint8(dayOf(at)&7), uint16(at.Hour()*60+at.Minute())
	body, err := m.Pack()
	if err != nil {
		return nil, err
	}
	s, err := signed(body, key.Public(), dayOf(at))
	if err != nil {
		return nil, err
	}
	sig, err := key.Sign(s)
	if err != nil {
		return nil, err
	}
	if alg, ok := algorithm(key.Public()); !ok || alg != key.Algorithm() || len(sig) != Size-BodySize {
		return nil, phrase.E("beacon.key")
	}
	return append(body, sig...), nil
}

// algorithm is that of a key whose signature has 64 bytes; false where it is another.
func algorithm(pub crypto.PublicKey) (trust.Algorithm, bool) {
	switch trust.KindOf(pub) {
	case trust.P256:
		return trust.ECDSASHA256, true
	case trust.SM2:
		return trust.SM2SM3, true
	case trust.Ed25519:
		return trust.EdDSA, true
	}
	return "", false
}

// Signs tells whether beacons can be signed by a key.
func Signs(pub crypto.PublicKey) bool {
	_, ok := algorithm(pub)
	return ok
}
