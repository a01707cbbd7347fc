package power

import (
	"math"
	"time"
)

// zenith of the sun's centre at sunrise, with refraction and the size of its disk, in degrees.
const zenith = 90.833

func radians(d float64) float64 { return d * math.Pi / 180 }

// sunOf gives the equation of time in minutes and the declination in radians at an instant.
func sunOf(t time.Time) (eqtime, decl float64) {
	t = t.UTC()
	days := 365.0
	if y := t.Year(); y%4 == 0 && (y%100 != 0 || y%400 == 0) {
		days = 366
	}
	g := 2 * math.Pi / days * (float64(t.YearDay()) - 1 + (float64(t.Hour())+float64(t.Minute())/60-12)/24)
	eqtime = 229.18 * (0.000075 + 0.001868*math.Cos(g) - 0.032077*math.Sin(g) - 0.014615*math.Cos(2*g) - 0.040849*math.Sin(2*g))
	decl = 0.006918 - 0.399912*math.Cos(g) + 0.070257*math.Sin(g) - 0.006758*math.Cos(2*g) + 0.000907*math.Sin(2*g) - 0.002697*math.Cos(3*g) + 0.00148*math.Sin(3*g)
	return eqtime, decl
}

// halfDay gives the hour angle of sunrise in degrees; false where the sun does not rise or set.
func halfDay(lat, decl float64) (float64, bool) {
	c := math.Cos(radians(zenith))/(math.Cos(radians(lat))*math.Cos(decl)) - math.Tan(radians(lat))*math.Tan(decl)
	if !(c >= -1 && c <= 1) {
		return 0, false
	}
	return math.Acos(c) * 180 / math.Pi, true
}

// sunDays is for how many days a sunrise is looked for: beyond the polar circles there may be none.
const sunDays = 366

// Sunrise gives the next sunrise after an instant, at a latitude and longitude in degrees (east positive);
// false where the sun is always up or never comes within a year.
func Sunrise(after time.Time, lat, lon float64) (time.Time, bool) {
	day := after.UTC().Truncate(24 * time.Hour).Add(-24 * time.Hour)
	for i := range sunDays {
		d := day.Add(time.Duration(i) * 24 * time.Hour)
		// Twice: the sun is taken where it is at the sunrise that was found, not at noon.
		at, ok := d.Add(12*time.Hour), true
		for range 2 {
			eq, decl := sunOf(at)
			ha, rises := halfDay(lat, decl)
			if ok = rises; !ok {
				break
			}
			at = d.Add(time.Duration((720 - 4*(lon+ha) - eq) * float64(time.Minute)))
		}
		if ok && at.After(after) {
			return at, true
		}
	}
	return time.Time{}, false
}

// obliquity is the greatest declination, in degrees.
const obliquity = 23.44

// LongestNight gives the longest night of the year at a latitude; a day where the sun stays away.
func LongestNight(lat float64) time.Duration {
	ha, ok := halfDay(math.Abs(lat), -radians(obliquity))
	if !ok {
		return 24 * time.Hour
	}
	return time.Duration((360 - 2*ha) / 15 * float64(time.Hour))
}
