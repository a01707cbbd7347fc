// Package nmea is a weather station and a GNSS receiver as a listener hears
// them: NMEA 0183 sentences written from the public description (gpsd's "NMEA
// Revealed", release 2.23), with the ways in which they misbehave. It imports
// nothing of firmware or drivers.
package nmea

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// Sky is what a receiver says of the time.
type Sky struct {
	// Fix is what GGA says: 0 none, 1 GNSS, 8 simulator; RMC is valid where it is 1
	// to 5.
	Fix int
	// Off is added to the time: a receiver whose week counter rolled over, a
	// jammer's spoofed time.
	Off time.Duration
	// Mode is RMC's mode indicator, e.g. "A"; "" leaves the field out, as old
	// receivers do.
	Mode string
}

// Air is what a weather station measures.
type Air struct {
	WindAngle, WindSpeed   float64 // degrees, m/s
	Pressure               float64 // hPa
	Temperature, Humidity  float64 // °C, %
	WindFails, BlanksWater bool
}

// Station says both. Its zero value has no fix and no wind.
type Station struct {
	mu  sync.Mutex
	sky Sky
	air Air
}

// Set changes what it says from now on.
func (s *Station) Set(f func(*Sky, *Air)) { s.mu.Lock(); f(&s.sky, &s.air); s.mu.Unlock() }

// Say gives the sentences of one second, each with its checksum and end.
func (s *Station) Say(now time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := now.UTC().Add(s.sky.Off)
	clock := u.Format("150405.00")
	valid := "V"
	lat, ns, lon, ew, sats := "", "", "", "", 0
	if s.sky.Fix >= 1 && s.sky.Fix <= 5 {
		valid, lat, ns, lon, ew, sats = "A", "2307.0380", "N", "11324.0000", "E", 9
	}
	mode := ""
	if s.sky.Mode != "" {
		mode = "," + s.sky.Mode
	}
	wind := fmt.Sprintf("WIMWV,%.1f,R,%.1f,M,A", s.air.WindAngle, s.air.WindSpeed)
	if s.air.WindFails {
		wind = "WIMWV,,R,,M,V"
	}
	return []string{
		Frame(fmt.Sprintf("GPGGA,%s,%s,%s,%s,%s,%d,%02d,0.9,31.2,M,-4.1,M,,", clock, lat, ns, lon, ew, s.sky.Fix, sats)),
		Frame(fmt.Sprintf("GPRMC,%s,%s,%s,%s,%s,%s,0.0,0.0,%s,,%s", clock, valid, lat, ns, lon, ew, u.Format("020106"), mode)),
		Frame(fmt.Sprintf("GPZDA,%s,%s,00,00", clock, u.Format("02,01,2006"))),
		Frame(wind),
		Frame(fmt.Sprintf("WIMDA,%.2f,I,%.4f,B,%.1f,C,,,%.1f,,,,,,,,,,,", s.air.Pressure/33.8639, s.air.Pressure/1000, s.air.Temperature, s.air.Humidity)),
	}
}

// Frame puts $, the checksum and the end around a sentence's body.
func Frame(body string) string {
	var sum byte
	for i := range len(body) {
		sum ^= body[i]
	}
	return fmt.Sprintf("$%s*%02X\r\n", body, sum)
}

// Talk says the sentences of each second through say until stop is closed or say
// fails. Between sentences it pauses as 4800 baud makes it.
func (s *Station) Talk(say func([]byte) error, every time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			for _, x := range s.Say(now) {
				if say([]byte(x)) != nil {
					return
				}
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(math.Min(float64(len(x))*10/4800*float64(time.Second), float64(every)/8))):
				}
			}
		}
	}
}
