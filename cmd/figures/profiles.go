package main

import (
	"bytes"
	"io/fs"

	"tocsin/configs"
)

// newSensorLines is what a new sensor costs to describe: the median of the
// shipped profiles' lines, comments included, without the proof, which is
// recorded and not written. That each holds is for the tests of configs.
func newSensorLines(b *bench) error {
	var all []float64
	names, err := fs.Glob(configs.FS, "profiles/*.yaml")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := configs.FS.ReadFile(name)
		if err != nil {
			return err
		}
		all = append(all, float64(linesWithoutProof(text)))
	}
	b.log("lines without proof: %s", spread(all))
	b.tell("acquire.new_sensor_lines", rank(all, 0.5), len(all))
	return nil
}

// linesWithoutProof counts lines that are not blank and not of the key proof.
func linesWithoutProof(text []byte) int {
	n, proof := 0, false
	for l := range bytes.Lines(text) {
		if l[0] != ' ' && l[0] != '-' && l[0] != '#' && l[0] != '\n' && l[0] != '\r' {
			proof = bytes.HasPrefix(l, []byte("proof:"))
		}
		if !proof && len(bytes.TrimSpace(l)) > 0 {
			n++
		}
	}
	return n
}
