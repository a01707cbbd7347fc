package main

import (
	"bytes"
	"fmt"

	"tocsin/configs"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sense/profile"
)

// newSensorLines is what a new sensor costs to describe: the median of the
// shipped profiles' lines, comments included, without the proof, which is
// recorded and not written. A profile that does not hold is an error.
func newSensorLines(b *bench) error {
	var all []float64
	for _, name := range profile.Names(configs.FS) {
		p, problems := profile.Load(configs.FS, name)
		if p != nil {
			problems = p.Prove()
		}
		if len(problems) > 0 {
			return fmt.Errorf("%s", problems[0].In(phrase.EN))
		}
		text, err := configs.FS.ReadFile("profiles/" + name + ".yaml")
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
