package xmldsig

import (
	"bytes"
	"encoding/asn1"
	"math/big"

	"tocsin/firmware/phrase"
)

// pair is SM2Signature of GM/T 0009 (7.3).
type pair struct{ R, S *big.Int }

// fromDER gives r‖s of a signature in DER, and refuses every other way of writing it.
func fromDER(b []byte) ([]byte, error) {
	var p pair
	rest, err := asn1.Unmarshal(b, &p)
	if err != nil || len(rest) > 0 || p.R.Sign() <= 0 || p.S.Sign() <= 0 || p.R.BitLen() > 256 || p.S.BitLen() > 256 {
		return nil, phrase.E("trust.sig_value")
	}
	if again, err := asn1.Marshal(p); err != nil || !bytes.Equal(again, b) {
		return nil, phrase.E("trust.sig_value")
	}
	out := make([]byte, 64)
	p.R.FillBytes(out[:32])
	p.S.FillBytes(out[32:])
	return out, nil
}

func toDER(b []byte) ([]byte, error) {
	n := len(b) / 2
	return asn1.Marshal(pair{new(big.Int).SetBytes(b[:n]), new(big.Int).SetBytes(b[n:])})
}
