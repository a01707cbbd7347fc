package station

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tocsin/configs"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/serve/api"
)

// One file gives the form, the documentation and the test: what the form has is
// what the profile has, for every profile that is shipped.
func TestEveryProfileGivesItsForm(t *testing.T) {
	for _, name := range profile.Names(configs.FS) {
		p, problems := profile.Load(configs.FS, name)
		if p == nil {
			t.Fatal(problems)
		}
		f := formOf(p)
		if len(f.Points) != len(p.Points) || len(f.Writes) != len(p.Writes) || f.Manual == "" || len(f.KnownBy) != len(p.Fingerprint) {
			t.Errorf("%s: %d points, %d writes", name, len(f.Points), len(f.Writes))
		}
		keys := map[string]api.FormField{}
		for _, x := range f.Fields {
			if _, twice := keys[x.Key]; twice || x.Label.ZH == "" || x.Label.EN == "" || x.Label.ZH == x.Label.EN {
				t.Errorf("%s: %+v", name, x)
			}
			keys[x.Key] = x
			if x.Type == "choice" && x.Default != "" && !slices.Contains(x.Choices, x.Default) {
				t.Errorf("%s: %s is none of its choices: %+v", name, x.Default, x)
			}
			if x.Type == "whole" && x.Default != "" {
				if v, err := strconv.ParseFloat(x.Default, 64); err != nil || x.Min == nil || v < *x.Min || v > *x.Max {
					t.Errorf("%s: %+v", name, x)
				}
			}
			if x.Pattern != "" && !regexp.MustCompile(x.Pattern).MatchString(x.Example) {
				t.Errorf("%s: %q does not match %s", name, x.Example, x.Pattern)
			}
		}
		if _, unit := keys["devices.unit"]; unit != (p.Via == profile.Modbus) {
			t.Errorf("%s (%s): unit %v", name, p.Via, unit)
		}
		if _, addr := keys["devices.address"]; addr != (p.Via.Named() && p.Via != profile.NMEA) {
			t.Errorf("%s (%s): address %v", name, p.Via, addr)
		}
		level := slices.ContainsFunc(p.Points, func(pt profile.Point) bool {
			return pt.Unit.Quantity() == point.Unit("m").Quantity() && pt.Counter == nil
		})
		if _, zero := keys["devices.zero"]; zero != level {
			t.Errorf("%s: zero %v", name, zero)
		}
		for i, x := range f.Points {
			pt := &p.Points[i]
			if x.ID != pt.ID || x.Name.ZH == "" || x.Name.EN == "" || x.Unit != string(pt.Unit) || x.Place == "" || (x.Min == nil) != (pt.Range == nil) || len(x.States) != len(pt.States) {
				t.Errorf("%s: %+v", name, x)
			}
		}
	}
}

func TestThePageMayAskForTheFormOfADevice(t *testing.T) {
	t.Parallel()
	w, _ := withGate(t)
	w.start()
	var all []api.ProfileInfo
	if err := w.get("/profiles", &all); err != nil || len(all) < 60 {
		t.Fatalf("%v: %d profiles", err, len(all))
	}
	own := 0
	for _, p := range all {
		if p.Own {
			own++
			if p.Profile != "gate" {
				t.Errorf("%s is shipped", p.Profile)
			}
		}
	}
	if own != 1 {
		t.Errorf("%d of the site's own", own)
	}
	var f api.ProfileForm
	if err := w.get("/profiles/gate", &f); err != nil || !f.Own || len(f.Writes) != 2 || f.Writes[0].FailSafe == nil || *f.Writes[0].FailSafe != 5 || f.Points[0].Place != "holding 0x0040" {
		t.Errorf("%v %+v", err, f)
	}
	for _, name := range []string{"none", "..%2Fsite", "GATE", strings.Repeat("a", 80)} {
		r, err := w.client().Get("http://edged/api/v1/profiles/" + name)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusNotFound && r.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", name, r.Status)
		}
	}
}
