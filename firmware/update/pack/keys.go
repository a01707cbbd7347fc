package pack

import (
	"crypto"
	"encoding/pem"
	"os"
	"path/filepath"

	"tocsin/firmware/trust"
)

// mostKey is the largest key file, in bytes.
const mostKey = 16 << 10

// Keys reads the releasers' public keys, PEM files of a folder; what is none is passed over:
// a rule without keys lets nothing in.
func Keys(dir string) (out []crypto.PublicKey) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.pem"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || len(b) > mostKey {
			continue
		}
		p, _ := pem.Decode(b)
		if p == nil || p.Type != "PUBLIC KEY" {
			continue
		}
		if k, err := trust.ReadPublicDER(p.Bytes); err == nil {
			out = append(out, k)
		}
	}
	return out
}
