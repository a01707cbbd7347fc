// Package release makes release files as a maker's release desk would: signed well,
// signed by somebody else, cut short. It has its own hand for the format, so that an error
// of the box's reader shows.
package release

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
)

// Desk signs releases. Use New.
type Desk struct{ key ed25519.PrivateKey }

// New makes a desk of a seed; other seeds are other desks.
func New(seed byte) *Desk {
	return &Desk{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))}
}

// Trusted has a box on the bench in a folder believe this desk.
func (d *Desk) Trusted(bench string) error {
	der, err := x509.MarshalPKIXPublicKey(d.key.Public())
	if err != nil {
		return err
	}
	dir := filepath.Join(bench, "update", "keys")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "desk.pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644)
}

// File gives a release for boards of the bench, signed by the desk.
func (d *Desk) File(number int, version string) []byte {
	content := []byte("#!/bin/sh\necho " + version + "\n")
	sum := sha256.Sum256(content)
	manifest, err := json.Marshal(map[string]any{"version": version, "number": number, "hardware": []string{"bench"},
		"notes": map[string]string{"zh": "雨量计更稳", "en": "a steadier rain gauge"}, "size": len(content), "built": "2026-11-20T08:00:00Z",
		"files": []map[string]any{{"name": "edged", "size": len(content), "sha256": hex.EncodeToString(sum[:]), "run": true}}})
	if err != nil {
		panic(err) // plain values
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		b    []byte
	}{{"manifest.json", manifest}, {"manifest.sig", []byte(base64.StdEncoding.EncodeToString(ed25519.Sign(d.key, manifest)))}, {"edged", content}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.b)), Typeflag: tar.TypeReg}); err != nil {
			panic(err)
		}
		w.Write(f.b)
	}
	w.Close()
	return b.Bytes()
}
