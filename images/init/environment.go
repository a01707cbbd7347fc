package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
)

// environmentKeys are what boot.cmd reads out of an environment; each value is the boot
// loader's to write into a command, but why, which is only handed on.
var environmentKeys = []string{"good", "next", "left", "floor", "bad", "within", "why"}

// parseEnvironment reads a copy: CRC-32 (little endian) of what follows, then key=value, each
// with a zero byte behind it, and one more at the end (U-Boot, doc/usage/environment).
func parseEnvironment(e []byte) (map[string]string, error) {
	if len(e) != environmentSize || crc32.ChecksumIEEE(e[4:]) != binary.LittleEndian.Uint32(e) {
		return nil, errors.New("the environment's sum is wrong")
	}
	m := map[string]string{}
	for kv := range bytes.SplitSeq(e[4:], []byte{0}) {
		if len(kv) == 0 {
			break
		}
		k, v, ok := strings.Cut(string(kv), "=")
		if _, twice := m[k]; !ok || twice || !slices.Contains(environmentKeys, k) {
			return nil, fmt.Errorf("the environment has %q", clean(string(kv)))
		}
		m[k] = v
	}
	return m, nil
}

// fitsEnvironment tells whether an environment may take the place of the copies on the
// disk: it is whole, names slots that there are, and lowers no floor. Who asks has proved
// the release; this holds whoever asks.
func fitsEnvironment(e, copies []byte) error {
	m, err := parseEnvironment(e)
	if err != nil {
		return err
	}
	if m["good"] != "A" && m["good"] != "B" {
		return fmt.Errorf("good=%q is no slot", clean(m["good"]))
	}
	if !slices.Contains([]string{"", "A", "B"}, m["next"]) {
		return fmt.Errorf("next=%q is no slot", clean(m["next"]))
	}
	for k, base := range map[string]int{"left": 16, "floor": 10, "bad": 10, "within": 10} {
		if _, err := strconv.ParseUint(m[k], base, 63); m[k] != "" && err != nil {
			return fmt.Errorf("%s=%q is no number", k, clean(m[k]))
		}
	}
	for c := range slices.Chunk(copies, environmentSize) {
		was, err := parseEnvironment(c)
		if err != nil {
			continue
		}
		if floorOf(m) < floorOf(was) {
			return fmt.Errorf("floor=%d is below %d", floorOf(m), floorOf(was))
		}
		break // the boot loader, too, believes the first that is whole
	}
	return nil
}

func floorOf(m map[string]string) uint64 {
	n, _ := strconv.ParseUint(m["floor"], 10, 63)
	return n
}
