package main

import (
	"bytes"
	"fmt"
)

// entry is one file of an initramfs. Its names have no leading slash; folders come before
// what is in them.
type entry struct {
	name string
	mode uint32 // with the type: 0o040755, 0o100755
	data []byte
}

// cpio writes an initramfs in the form newc (Documentation/driver-api/early-userspace/
// buffer-format.rst): all numbers in eight hexadecimal digits, everything to four bytes.
func cpio(entries []entry) []byte {
	var w bytes.Buffer
	for n, e := range append(entries, entry{name: "TRAILER!!!"}) {
		links := 1
		if e.mode&0o170000 == 0o040000 {
			links = 2
		}
		ino := n + 1
		if e.name == "TRAILER!!!" {
			ino = 0
		}
		fmt.Fprintf(&w, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ino, e.mode, 0, 0, links, 0, len(e.data), 0, 0, 0, 0, len(e.name)+1, 0)
		w.WriteString(e.name + "\x00")
		pad(&w)
		w.Write(e.data)
		pad(&w)
	}
	return w.Bytes()
}

func pad(w *bytes.Buffer) {
	for w.Len()%4 != 0 {
		w.WriteByte(0)
	}
}
