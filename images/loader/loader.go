// Package loader makes the environment that a board's boot loader (U-Boot) shall start
// with: its own, but without the pause in which a key stops it. The line that it listens on
// is a wire on a pole: what the weather puts on it would stop the start for good, and the
// pause makes every start two seconds longer.
package loader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// Unattended gives the loader's environment of size bytes, as its saveenv would write it
// (env_t of include/env_internal.h: CRC-32, then name=value, each ended by a zero byte):
// what is built into the program, which a saved one replaces whole, and bootdelay=-2, which
// is no pause and no look at the line (doc/README.autoboot).
func Unattended(program []byte, size int) ([]byte, error) {
	vars, err := builtIn(program)
	if err != nil {
		return nil, err
	}
	found := false
	for n, v := range vars {
		if strings.HasPrefix(v, "bootdelay=") {
			vars[n], found = "bootdelay=-2", true
		}
	}
	if !found {
		vars = append(vars, "bootdelay=-2")
	}
	slices.Sort(vars)
	text := strings.Join(vars, "\x00") + "\x00\x00"
	if len(text) > size-4 {
		return nil, fmt.Errorf("the environment has %d bytes, its place %d", len(text), size-4)
	}
	e := make([]byte, size)
	copy(e[4:], text)
	binary.LittleEndian.PutUint32(e, crc32.ChecksumIEEE(e[4:]))
	return e, nil
}

// builtIn finds the environment in the loader's program: a run of name=value with a
// command to boot in it, up to an empty one.
func builtIn(program []byte) ([]string, error) {
	for at := 0; ; {
		i := bytes.Index(program[at:], []byte("\x00bootcmd="))
		if i < 0 {
			return nil, errors.New("this boot loader has no environment built in")
		}
		at += i + 1
		begin := at
		for begin >= 2 && program[begin-1] == 0 { // what stands before it
			prev := bytes.LastIndexByte(program[:begin-1], 0) + 1
			if !variable(program[prev : begin-1]) {
				break
			}
			begin = prev
		}
		var vars []string
		for p := begin; p < len(program); {
			end := bytes.IndexByte(program[p:], 0)
			if end <= 0 || !variable(program[p:p+end]) {
				break
			}
			vars = append(vars, string(program[p:p+end]))
			p += end + 1
		}
		if len(vars) > 5 { // the word alone is in messages, too
			return vars, nil
		}
	}
}

// variable tells whether bytes are name=value.
func variable(b []byte) bool {
	i := bytes.IndexByte(b, '=')
	if i <= 0 {
		return false
	}
	for _, c := range b[:i] {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return false
		}
	}
	for _, c := range b[i:] {
		if c < ' ' && c != '\t' && c != '\n' || c > 0x7e {
			return false
		}
	}
	return true
}
