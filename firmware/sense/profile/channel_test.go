package profile

import (
	"math"
	"strings"
	"testing"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

const named = `version: 1
profile: x
name: {zh: 甲, en: x}
manual: generic
`

func parsed(t *testing.T, body string) *Profile {
	t.Helper()
	p, problems := Parse("x.yaml", []byte(named+body))
	for _, pr := range problems {
		t.Fatal(pr.In(phrase.EN))
	}
	return p
}

const wind = `via: nmea
points:
  - {id: speed, name: {zh: 风速, en: speed}, read: channel mwv.r.speed, unit: m/s, range: [0, 60]}
  - {id: pressure, name: {zh: 气压, en: pressure}, read: channel mda.pressure, unit: hPa}
  - {id: lat, name: {zh: 纬度, en: latitude}, read: channel gga.latitude, unit: "°"}
  - {id: box, name: {zh: 箱温, en: box}, read: channel xdr.C.BOX, unit: "°C"}
proof:
  - {heard: "$WIMWV,214.8,R,0.1,K,A*28", gives: {speed: 0.02777777777777778}}
`

func sentence(s string) string {
	var x byte
	for _, b := range []byte(s) {
		x ^= b
	}
	const hex = "0123456789ABCDEF"
	return "$" + s + "*" + string([]byte{hex[x>>4], hex[x&15]})
}

func TestSentencesGiveTheirValuesAndNeverASilentZero(t *testing.T) {
	p := parsed(t, wind)
	for _, c := range []struct {
		body, point string
		value       float64
		quality     point.Quality
	}{
		{"WIMWV,214.8,R,36,K,A", "speed", 10, point.Good},
		{"WIMWV,214.8,R,10,N,A", "speed", 18520.0 / 3600, point.Good},
		{"IIMWV,214.8,R,7.5,M,A", "speed", 7.5, point.Good},
		{"WIMWV,214.8,R,99,M,A", "speed", 99, point.OutOfRange},
		{"WIMWV,214.8,R,7.5,M,V", "speed", math.NaN(), point.SensorFault},
		{"WIMWV,214.8,R,7.5,M,", "speed", math.NaN(), point.SensorFault},
		{"WIMWV,,R,,M,A", "speed", math.NaN(), point.SensorFault},
		{"WIMWV,214.8,R,7.5,X,A", "speed", math.NaN(), point.SensorFault},
		{"WIMWV,214.8,R,7e5,M,A", "speed", math.NaN(), point.SensorFault},
		{"WIMWV,214.8,R,7.5", "speed", math.NaN(), point.CommFault},
		{"WIMDA,29.92,I,1.0132,B,,,,,,,,,,,,,,,,", "pressure", 1013.2, point.Good},
		{"WIMDA,,I,,B,,,,,,,,,,,,,,,,", "pressure", math.NaN(), point.SensorFault},
		{"GPGGA,123519,2307.038,S,11324.000,E,1,08,0.9,54.4,M,,,,", "lat", -(23 + 7.038/60), point.Good},
		{"GPGGA,123519,2307.038,N,11324.000,E,0,00,,,M,,,,", "lat", math.NaN(), point.SensorFault},
		{"GPGGA,123519,2360.038,N,11324.000,E,1,08,0.9,54.4,M,,,,", "lat", math.NaN(), point.SensorFault},
		{"WIXDR,C,41.5,C,OTHER,C,22.5,C,BOX", "box", 22.5, point.Good},
		{"WIXDR,C,,C,BOX", "box", math.NaN(), point.SensorFault},
		{"WIXDR,C,22.5,F,BOX", "box", math.NaN(), point.SensorFault},
	} {
		f, err := CutSentence(sentence(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		vs := p.DecodeSentence(f)
		if len(vs) != 1 || vs[0].Point != c.point || vs[0].Quality != c.quality {
			t.Errorf("%s: %+v, want %s %v", c.body, vs, c.point, c.quality)
			continue
		}
		if c.quality == point.Good && math.Abs(vs[0].Value-c.value) > 1e-9 {
			t.Errorf("%s: %v, want %v", c.body, vs[0].Value, c.value)
		}
	}
	for _, other := range []string{"WIMWV,214.8,T,36,K,A", "PGRMZ,1,f,3", "WIXDR,C,1,C,NONE", "WIXDR,H,1,P,BOX", "GPGSV,1", "WIMWVX,1"} {
		f, err := CutSentence(sentence(other))
		if err != nil {
			t.Fatal(err)
		}
		if vs := p.DecodeSentence(f); len(vs) != 0 {
			t.Errorf("%s is not for this device: %+v", other, vs)
		}
	}
	if _, err := CutSentence("$WIMWV,214.8,R,0.1,K,A*29"); err == nil {
		t.Error("a wrong checksum passed")
	}
}

// The example of SDI-12 v1.4, section 4.4.12.3.
func TestTheCRCIsTheStandardsOwn(t *testing.T) {
	if got := sdiCRC("0+3.14"); got != "OqZ" {
		t.Errorf("0+3.14 gives %s", got)
	}
	if _, err := cutAnswers("MC", "0+3.14OqY"); err == nil {
		t.Error("a wrong CRC passed")
	}
}

func TestAnAnswerIsCutIntoSignedValues(t *testing.T) {
	for _, c := range []struct {
		command, text string
		want          []float64 // nil: refused
	}{
		{"M", "0+3.14-2.718+1", []float64{3.14, -2.718, 1}},
		{"M", "0+1.5 0-.5+7.", []float64{1.5, -.5, 7}},
		{"MC", "0+3.14OqZ", []float64{3.14}},
		{"M", "0", []float64{}},
		{"M", "0+1 1+2", nil},
		{"M", "0+", nil},
		{"M", "0+.", nil},
		{"M", "0+1.2.3", nil},
		{"M", "0 3.1", nil},
		{"M", "0+12345678", nil},
		{"M", "0+1e5", nil},
		{"M", "0+3.14OqZ", nil},
	} {
		s, err := cutAnswers(c.command, c.text)
		if (err != nil) != (c.want == nil) || err == nil && len(s) != len(c.want) {
			t.Errorf("%s %q: %v, %v", c.command, c.text, s, err)
			continue
		}
		for i := range c.want {
			if s[i].Value != c.want[i] {
				t.Errorf("%q: %v", c.text, s)
			}
		}
	}
}

const probe = `via: sdi12
points:
  - {id: level, name: {zh: 水位, en: level}, read: channel MC.1, unit: m, range: [0, 20]}
  - {id: temp, name: {zh: 水温, en: temp}, read: channel MC.2, unit: "°C"}
  - {id: volt, name: {zh: 电压, en: volt}, read: channel M1.1, unit: V}
proof:
  - {measure: MC, heard: "0+3.14+21.5@ax", gives: {level: 3.14, temp: 21.5}}
  - {measure: M1, heard: "0+12.4", gives: {volt: 12.4}}
`

func TestAWrongProofOfChannelsFailsAndNamesThePoint(t *testing.T) {
	good := strings.ReplaceAll(probe, "@ax", sdiCRC("0+3.14+21.5"))
	if ps := parsed(t, good).Prove(); len(ps) > 0 {
		t.Fatal(ps[0].In(phrase.EN))
	}
	if got := parsed(t, good).Commands(); len(got) != 2 || got[0] != "MC" || got[1] != "M1" {
		t.Errorf("commands %v", got)
	}
	ps := parsed(t, strings.ReplaceAll(good, "temp: 21.5", "temp: 21.6")).Prove()
	if len(ps) == 0 || !strings.Contains(ps[0].In(phrase.EN), "temp") {
		t.Errorf("%v", ps)
	}
	if ps := parsed(t, strings.ReplaceAll(good, "heard: \"0+12.4\"", "heard: \"0+12.5\"")).Prove(); len(ps) == 0 {
		t.Error("a wrong proof passed")
	}
	if ps := parsed(t, probe).Prove(); len(ps) == 0 {
		t.Error("a wrong CRC passed")
	}
}

func TestAChannelThatIsMissingOrTwofoldIsAFault(t *testing.T) {
	p := parsed(t, strings.ReplaceAll(probe, "@ax", sdiCRC("0+3.14+21.5")))
	vs := p.DecodeSamples([]drivers.Sample{{Channel: "MC.1", Value: 3}, {Channel: "M1.1", Value: 1}, {Channel: "M1.1", Value: 2}, {Channel: "M1.1", Value: 1}}, nil)
	want := map[string]point.Quality{"level": point.Good, "temp": point.SensorFault, "volt": point.SensorFault}
	for _, v := range vs {
		if v.Quality != want[v.Point] {
			t.Errorf("%s is %v", v.Point, v.Quality)
		}
		if v.Quality != point.Good && !math.IsNaN(v.Value) {
			t.Errorf("%s has the value %v", v.Point, v.Value)
		}
	}
}

func TestAChipsProfileNamesOnlyWhatTheChipHas(t *testing.T) {
	const good = `via: i2c
chip: ina219
options: {shunt_milliohm: 100}
points:
  - {id: volt, name: {zh: 电压, en: volt}, read: channel bus_voltage, unit: V}
proof:
  - {samples: {bus_voltage: 12.4}, gives: {volt: 12.4}}
`
	if ps := parsed(t, good).Prove(); len(ps) > 0 {
		t.Fatal(ps[0].In(phrase.EN))
	}
	for _, bad := range [][2]string{
		{"chip: ina219", "chip: ina220"}, {"chip: ina219\n", ""}, {"shunt_milliohm", "shunt"}, {"100}", "0}"},
		{"bus_voltage,", "temperature,"}, {"unit: V", "unit: A"}, {"samples: {bus_voltage", "samples: {ain0"},
		{"via: i2c", "via: onewire"}, {"via: i2c", "via: pulse"},
	} {
		if _, ps := Parse("x.yaml", []byte(named+strings.Replace(good, bad[0], bad[1], 1))); len(ps) == 0 {
			t.Errorf("%s for %s passed", bad[1], bad[0])
		}
	}
}

func FuzzSentence(f *testing.F) {
	f.Add("$WIMWV,214.8,R,0.1,K,A*28")
	f.Add(sentence("WIXDR,C,22.5,C,BOX,P,1.01,B,BARO"))
	f.Add(sentence("GPGGA,123519,2307.038,S,11324.000,E,1,08,0.9,54.4,M,,,,"))
	f.Add(sentence("WIMDA,29.92,I,1.0132,B,,,,,,,,,,,,,,,,"))
	p, problems := Parse("x.yaml", []byte(named+wind))
	if p == nil {
		f.Fatal(problems)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fields, err := CutSentence(s)
		if err != nil {
			fields = strings.Split(s, ",") // decoding must stand whatever it gets
		}
		for _, v := range p.DecodeSentence(fields) {
			if v.Quality == point.Good && (math.IsNaN(v.Value) || math.IsInf(v.Value, 0)) || v.Quality != point.Good && v.Why.Code == "" {
				t.Fatalf("%q gives %+v", s, v)
			}
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add("M", "0+3.14-2.718+1")
	f.Add("MC", "0+3.14OqZ")
	f.Add("RC0", "z+1 z+2")
	f.Fuzz(func(t *testing.T, command, s string) {
		samples, err := cutAnswers(command, s)
		if err != nil {
			return
		}
		for _, v := range samples {
			if math.IsNaN(v.Value) || math.Abs(v.Value) >= 1e7 {
				t.Fatalf("%q gives %v", s, v)
			}
		}
	})
}
