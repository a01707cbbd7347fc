package alert

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"tocsin/firmware/phrase"
)

// earthKm is the mean radius of the WGS-84 ellipsoid.
const earthKm = 6371.0088

// readPoint reads "lat,lon" in degrees.
func readPoint(b []byte) (Point, bool) {
	i := bytes.IndexByte(b, ',')
	if i < 1 || len(b) > 80 {
		return Point{}, false
	}
	lat, ok := degrees(b[:i])
	lon, fine := degrees(b[i+1:])
	return Point{lat, lon}, ok && fine && math.Abs(lat) <= 90 && math.Abs(lon) <= 180
}

// degrees reads a plain decimal number; no exponent, no infinity, no hex.
func degrees(b []byte) (float64, bool) {
	for i, c := range b {
		if c >= '0' && c <= '9' || c == '.' || i == 0 && (c == '-' || c == '+') {
			continue
		}
		return 0, false
	}
	v, err := strconv.ParseFloat(string(b), 64)
	return v, err == nil
}

// polygon reads a ring. One that cannot be read is left out and counted, so that
// the place is never taken to be outside it.
func (r *reader) polygon(a *Area, b []byte) {
	if len(b) == 0 {
		r.f.odd(r.where(), phrase.M("alert.form.empty", "element", "polygon"))
		a.Unreadable++
		return
	}
	ring := make(Polygon, 0, 1+bytes.Count(b, []byte(",")))
	for len(b) > 0 {
		i := bytes.IndexAny(b, " \t\r\n")
		if i < 0 {
			i = len(b)
		}
		p, ok := readPoint(b[:i])
		if !ok {
			r.f.odd(r.where(), phrase.M("alert.rule.point", "text", clip(string(b[:min(i, 200)]))))
			a.Unreadable++
			return
		}
		ring = append(ring, p)
		b = bytes.TrimLeft(b[i:], " \t\r\n")
	}
	// One that ends where it should not have is closed as its last side; the
	// validators of the field tell it too (google/cap-library).
	if ring[0] != ring[len(ring)-1] {
		r.f.odd(r.where(), phrase.M("alert.rule.polygon_open"))
		ring = append(ring, ring[0])
	}
	if len(ring) < 4 {
		r.f.odd(r.where(), phrase.M("alert.rule.polygon_short", "points", len(ring)))
		a.Unreadable++
		return
	}
	switch crosses(ring, &r.work) {
	case crossing:
		r.f.odd(r.where(), phrase.M("alert.rule.polygon_crosses"))
	case unsure:
		r.f.odd(r.where(), phrase.M("alert.rule.polygon_intricate", "points", len(ring)))
	}
	a.Polygons = append(a.Polygons, ring)
}

// circle reads "lat,lon radius".
func (r *reader) circle(a *Area, s string) {
	parts := strings.Fields(s)
	if len(parts) == 2 {
		p, ok := readPoint([]byte(parts[0]))
		km, fine := degrees([]byte(parts[1]))
		if ok && fine && km >= 0 && km <= 21000 {
			a.Circles = append(a.Circles, Circle{p, km})
			return
		}
	}
	r.f.odd(r.where(), phrase.M("alert.rule.circle", "text", clip(s)))
	a.Unreadable++
}

// Contains tells whether a point is in the ring or on it. A ring that crosses
// itself is read by the even-odd rule. It may cross the 180th meridian.
func (p Polygon) Contains(at Point) bool {
	in := false
	for i := 1; i < len(p); i++ {
		ax, bx := turn(p[i-1].Lon-at.Lon), turn(p[i].Lon-at.Lon)
		ay, by := p[i-1].Lat-at.Lat, p[i].Lat-at.Lat
		if math.Abs(ax-bx) > 180 { // it passes the far side of the earth
			continue
		}
		cross := ax*by - bx*ay
		if cross == 0 && ax*bx <= 0 && ay*by <= 0 {
			return true // on the side itself
		}
		// The ray goes north along the point's meridian.
		if (ax > 0) != (bx > 0) && (cross > 0) == (ax > bx) {
			in = !in
		}
	}
	return in
}

// turn brings a difference of longitudes to -180…180.
func turn(d float64) float64 {
	switch {
	case d > 180:
		return d - 360
	case d < -180:
		return d + 360
	}
	return d
}

// Contains tells whether a point is in the circle, on the great circle of a
// sphere of mean radius: right to 0.6 %. That much is added, so that the edge
// warns rather than not.
func (c Circle) Contains(at Point) bool {
	return distanceKm(c.Centre, at) <= c.Km*1.006
}

func distanceKm(a, b Point) float64 {
	const rad = math.Pi / 180
	dLat, dLon := (b.Lat-a.Lat)*rad, (b.Lon-a.Lon)*rad
	h := math.Pow(math.Sin(dLat/2), 2) + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*math.Pow(math.Sin(dLon/2), 2)
	return 2 * earthKm * math.Asin(math.Min(1, math.Sqrt(h)))
}

type verdict int

const (
	simple verdict = iota
	crossing
	unsure
)

// workMost bounds the comparisons of boxes for one alert, whatever its polygons
// look like: some tens of milliseconds. The largest alert of the field takes a
// twentieth.
const workMost = 12_000_000

const leafSides = 8

type box struct{ minX, minY, maxX, maxY float32 }

func (b *box) meets(o *box) bool {
	return b.minX <= o.maxX && o.minX <= b.maxX && b.minY <= o.maxY && o.minY <= b.maxY
}

// crosses tells whether two sides of a closed ring properly cross. A tree of
// boxes over runs of sides is compared with itself: near n log n for what maps look like, and
// bounded by work for what they do not. Sides that only touch are let pass: they
// leave no doubt of what is inside.
func crosses(ring Polygon, work *int) verdict {
	sides := len(ring) - 1
	if sides < 4 {
		return simple
	}
	leaves := (sides + leafSides - 1) / leafSides
	size := 1
	for size < leaves {
		size *= 2
	}
	tree := make([]box, 2*size)
	none := box{math.MaxFloat32, math.MaxFloat32, -math.MaxFloat32, -math.MaxFloat32}
	for i := range tree {
		tree[i] = none
	}
	for i := 0; i < leaves; i++ {
		b := none
		for _, p := range ring[i*leafSides : min((i+1)*leafSides, sides)+1] {
			b.minX, b.maxX = min(b.minX, lower(p.Lon)), max(b.maxX, upper(p.Lon))
			b.minY, b.maxY = min(b.minY, lower(p.Lat)), max(b.maxY, upper(p.Lat))
		}
		tree[size+i] = b
	}
	for i := size - 1; i > 0; i-- {
		l, r := tree[2*i], tree[2*i+1]
		tree[i] = box{min(l.minX, r.minX), min(l.minY, r.minY), max(l.maxX, r.maxX), max(l.maxY, r.maxY)}
	}
	var pair func(a, b int) verdict
	pair = func(a, b int) verdict {
		if *work++; *work > workMost {
			return unsure
		}
		if a != b && !tree[a].meets(&tree[b]) {
			return simple
		}
		if a >= size { // both are leaves: the tree is full
			return leafPair(ring, sides, a-size, b-size, work)
		}
		next := [4][2]int{{2 * a, 2 * b}, {2*a + 1, 2*b + 1}, {2 * a, 2*b + 1}, {2*a + 1, 2 * b}}
		n := 4
		if a == b {
			n = 3
		}
		for _, c := range next[:n] {
			if v := pair(c[0], c[1]); v != simple {
				return v
			}
		}
		return simple
	}
	return pair(1, 1)
}

// lower and upper round outwards, so that a box never cuts its own side off.
func lower(v float64) float32 { return math.Nextafter32(float32(v), -math.MaxFloat32) }
func upper(v float64) float32 { return math.Nextafter32(float32(v), math.MaxFloat32) }

func leafPair(ring Polygon, sides, a, b int, work *int) verdict {
	for i := a * leafSides; i < min((a+1)*leafSides, sides); i++ {
		from := b * leafSides
		if a == b {
			from = i + 1
		}
		for j := from; j < min((b+1)*leafSides, sides); j++ {
			if *work++; *work > workMost {
				return unsure
			}
			if cut(ring[i], ring[i+1], ring[j], ring[j+1]) {
				return crossing
			}
		}
	}
	return simple
}

// cut tells whether two sides cross at a point inside both.
func cut(a, b, c, d Point) bool {
	s1, s2 := side(a, b, c), side(a, b, d)
	if s1 == 0 || s2 == 0 || (s1 > 0) == (s2 > 0) {
		return false
	}
	s3, s4 := side(c, d, a), side(c, d, b)
	return s3 != 0 && s4 != 0 && (s3 > 0) != (s4 > 0)
}

func side(a, b, p Point) float64 {
	return (b.Lon-a.Lon)*(p.Lat-a.Lat) - (b.Lat-a.Lat)*(p.Lon-a.Lon)
}
