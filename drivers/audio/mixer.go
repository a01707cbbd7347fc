//go:build linux

package audio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// Mixed tells what Open did to the card's mixer.
type Mixed struct {
	// Set are the controls that now stand as wanted.
	Set []string
	// Left says why the mixer, or a part of it, was left alone; empty where
	// nothing was.
	Left string
}

// String is for logs.
func (m Mixed) String() string {
	s := "mixer: set " + strings.Join(m.Set, ", ")
	if len(m.Set) == 0 {
		s = "mixer: nothing set"
	}
	if m.Left != "" {
		s += "; " + m.Left
	}
	return s
}

// outputs are the controls of the way to a loudspeaker, as ALSA's drivers name
// them (Documentation/sound/designs/control-names.rst). What brings a
// microphone or a beep to the loudspeaker is left alone.
var outputs = []string{"Master", "PCM", "Speaker", "Headphone", "Front", "Line Out", "Digital", "HDMI", "DAC", "Analogue", "Lineout"}

const maxControls = 512

// mix sets volume and switches of card n. A card without them is no error: many
// USB cards and amplifiers have none.
func (c *Card) mix(n int) (m Mixed) {
	if c.o.Volume == 0 {
		m.Left = "left alone as configured"
		return m
	}
	fd, err := c.k.open(fmt.Sprintf("/dev/snd/controlC%d", n))
	if err != nil {
		m.Left = err.Error()
		return m
	}
	defer c.k.close(fd)
	ids, err := c.controls(fd)
	if err != nil {
		m.Left = "listing controls: " + err.Error()
		return m
	}
	for _, id := range ids {
		name := string(bytes.TrimRight(id.name[:], "\x00"))
		base, volume := strings.CutSuffix(name, " Playback Volume")
		if !volume {
			var ok bool
			if base, ok = strings.CutSuffix(name, " Playback Switch"); !ok {
				continue
			}
		}
		if id.iface != ifaceMixer || !slices.Contains(outputs, base) {
			continue
		}
		if err := c.turn(fd, id); err != nil {
			m.Left = strings.TrimPrefix(m.Left+"; "+name+": "+err.Error(), "; ")
			continue
		}
		m.Set = append(m.Set, name)
	}
	if len(m.Set) == 0 && m.Left == "" {
		m.Left = "the card has no control of its output"
	}
	return m
}

func (c *Card) controls(fd int) ([]elemID, error) {
	var l elemList
	if err := c.k.ioctl(fd, ctlElemList, unsafe.Pointer(&l)); err != nil {
		return nil, err
	}
	n := min(int(l.count), maxControls)
	if n == 0 {
		return nil, nil
	}
	ids := make([]elemID, n)
	l = elemList{space: uint32(n), ids: unsafe.Pointer(&ids[0])}
	if err := c.k.ioctl(fd, ctlElemList, unsafe.Pointer(&l)); err != nil {
		return nil, err
	}
	return ids[:min(int(l.used), n)], nil
}

// turn sets a volume to its percent and a switch to on, in every channel.
func (c *Card) turn(fd int, id elemID) error {
	info := elemInfo{id: id}
	if err := c.k.ioctl(fd, ctlElemInfo, unsafe.Pointer(&info)); err != nil {
		return err
	}
	if info.access&accessWrite == 0 {
		return fmt.Errorf("it cannot be written")
	}
	want := 1
	switch info.kind {
	case elemBoolean:
	case elemInteger:
		lo, hi := long(info.value[:], 0), long(info.value[:], 1)
		if hi <= lo {
			return fmt.Errorf("its range is %d to %d", lo, hi)
		}
		want = lo + int(int64(hi-lo)*int64(c.o.Volume)/100)
	default:
		return fmt.Errorf("it is of kind %d", info.kind)
	}
	v := elemValue{id: id}
	if err := c.k.ioctl(fd, ctlElemRead, unsafe.Pointer(&v)); err != nil {
		return err
	}
	same := true
	for i := range min(int(info.count), len(v.value)) {
		same = same && v.value[i] == want
		v.value[i] = want
	}
	if same {
		return nil
	}
	return c.k.ioctl(fd, ctlElemWrite, unsafe.Pointer(&v))
}

// long reads the i-th C long.
func long(b []byte, i int) int {
	if unsafe.Sizeof(uint(0)) == 4 {
		return int(int32(binary.NativeEndian.Uint32(b[4*i:])))
	}
	return int(int64(binary.NativeEndian.Uint64(b[8*i:])))
}
