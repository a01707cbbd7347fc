package meshtastic

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// regions are the region codes of config.proto (LoRaConfig.RegionCode).
var regions = map[string]uint64{
	"US": 1, "EU_433": 2, "EU_868": 3, "CN": 4, "JP": 5, "ANZ": 6, "KR": 7, "TW": 8, "RU": 9, "IN": 10, "NZ_865": 11, "TH": 12, "LORA_24": 13,
	"UA_433": 14, "UA_868": 15, "MY_433": 16, "MY_919": 17, "SG_923": 18,
}

// modem is a LoRa modulation.
type modem struct {
	spread    int
	bandwidth float64 // kHz
	rate      int     // 5 for 4/5
}

// presets are the modem presets by number (LoRaConfig.ModemPreset) outside the
// 2.4 GHz band. VERY_LONG_SLOW (2) is left out: what it does differs by firmware.
var presets = map[uint64]modem{
	0: {11, 250, 5}, // LONG_FAST
	1: {12, 125, 8}, // LONG_SLOW
	3: {10, 250, 5}, // MEDIUM_SLOW
	4: {9, 250, 5},  // MEDIUM_FAST
	5: {8, 250, 5},  // SHORT_SLOW
	6: {7, 250, 5},  // SHORT_FAST
	7: {11, 125, 8}, // LONG_MODERATE
	8: {7, 500, 5},  // SHORT_TURBO
}

// bandwidths that the node's number only means.
var bandwidths = map[uint64]float64{31: 31.25, 62: 62.5, 200: 203.125, 400: 406.25, 800: 812.5, 1600: 1625}

// modem gives what the node modulates with; false where that is not known.
func (l *lora) modem() (modem, bool) {
	if l.usePreset {
		m, ok := presets[l.preset]
		return m, ok
	}
	m := modem{int(min(l.spread, 99)), float64(min(l.bandwidth, 9999)), int(min(l.rate, 99))}
	if b, ok := bandwidths[l.bandwidth]; ok {
		m.bandwidth = b
	}
	return m, m.spread >= 5 && m.spread <= 12 && m.bandwidth >= 7 && m.rate >= 5 && m.rate <= 8
}

// preambleSymbols is what the firmware sends before a packet.
const preambleSymbols = 16

// airtime is how long n bytes are on the air: explicit header, CRC, low data rate
// optimisation where a symbol takes 16 ms or more (Semtech AN1200.13, section 4).
func (m modem) airtime(n int) time.Duration {
	symbol := math.Pow(2, float64(m.spread)) / m.bandwidth // ms
	slow := 0
	if symbol >= 16 {
		slow = 1
	}
	blocks := math.Ceil(float64(8*n-4*m.spread+28+16) / float64(4*(m.spread-2*slow)))
	symbols := preambleSymbols + 4.25 + 8 + max(blocks*float64(m.rate), 0)
	return time.Duration(symbols * symbol * float64(time.Millisecond))
}

const (
	// airHeader is the radio's own header.
	airHeader = 16
	// mostBytes keeps Data within the firmware's 233 bytes, with room for what
	// it adds.
	mostBytes = 220
)

// onAir is the packet of n bytes of ours: header, port number, payload and its
// length, and what the firmware adds.
func onAir(n int, firmware string) int {
	size := airHeader + 3 + 2 + n + added(firmware)
	if n > 127 {
		size++
	}
	return size
}

// added is what firmware from 2.5 on puts into each Data of its own: the bitfield.
// One whose version is not known is taken to do so.
func added(firmware string) int {
	major, rest, ok := strings.Cut(firmware, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if ok && err1 == nil && err2 == nil && (a < 2 || a == 2 && b < 5) {
		return 0
	}
	return 2
}

// room is the most bytes of ours that are on the air for no longer than most; 0
// for most means that nothing bounds it.
func room(m modem, firmware string, most time.Duration) int {
	n := mostBytes
	for most > 0 && n > 0 && m.airtime(onAir(n, firmware)) > most {
		n--
	}
	return n
}
