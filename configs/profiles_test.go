package configs_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tocsin/configs"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

var update = flag.Bool("update", false, "write profiles/README.md anew")

// all loads every shipped profile; one that does not parse or prove fails.
func all(t *testing.T) []*profile.Profile {
	t.Helper()
	var out []*profile.Profile
	for _, name := range profile.Names(configs.FS) {
		p, problems := profile.Load(configs.FS, name)
		if p != nil {
			problems = p.Prove()
			out = append(out, p)
		}
		for _, pr := range problems {
			t.Error(pr.In(phrase.EN))
		}
	}
	return out
}

func TestAtLeastThirtyProfilesProveThemselves(t *testing.T) {
	if n := len(all(t)); n < 30 {
		t.Errorf("only %d profiles", n)
	}
}

// A source is a document, a page or an address that somebody can open; who has
// none says so by name and by word.
func TestEveryProfileNamesItsSourceOrIsGeneric(t *testing.T) {
	page := regexp.MustCompile(`https?://|\b(page|pages|section|sections|Table|table)\b`)
	for _, p := range all(t) {
		if generic := strings.HasPrefix(p.Name, "generic-"); generic != strings.HasPrefix(p.Manual, "generic") {
			t.Errorf("%s: manual: %q must begin with generic if and only if the name does", p.Name, p.Manual)
		} else if !generic && !page.MatchString(p.Manual) {
			t.Errorf("%s: manual: %q names no page, section or address", p.Name, p.Manual)
		}
		text, err := configs.FS.ReadFile("profiles/" + p.Name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		// The older ones were recorded before proofs said where they are from.
		if _, proof, _ := bytes.Cut(text, []byte("\nproof:\n")); !bytes.Contains(proof, []byte("# proof: ")) && !slices.Contains(before, p.Name) {
			t.Errorf("%s does not say whether its proof was recorded, printed or computed", p.Name)
		}
	}
}

var before = []string{"fts-sdi-radar-300w", "generic-ch4-rs485", "generic-radar-level-rs485", "generic-rain-rs485", "generic-rain-text",
	"generic-relay-8in-8out", "waveshare-modbus-rtu-relay", "waveshare-modbus-rtu-relay-d"}

// What a rule may warn of is read before the rest, and has bounds: a number that
// no sensor can give must not raise or calm anything.
func TestDangerIsReadFirstAndHasBounds(t *testing.T) {
	danger := []point.Quantity{"combustible", "fraction", "methane", "density"}
	ids := regexp.MustCompile(`^(level|depth|settlement|opening|tilt|pressure|smoke|height)$`)
	for _, p := range all(t) {
		for i := range p.Points {
			pt := &p.Points[i]
			if slices.Contains(danger, pt.Unit.Quantity()) || ids.MatchString(pt.ID) && pt.Name.EN != "air pressure" {
				if !pt.Alarm {
					t.Errorf("%s: %s has not priority: alarm", p.Name, pt.ID)
				}
				if pt.Range == nil && pt.Type != profile.Bool {
					t.Errorf("%s: %s has no range", p.Name, pt.ID)
				}
			}
			if (pt.Unit.Quantity() == "length" || pt.Unit == "kPa") && pt.Rate == nil && pt.ID != "distance" && pt.ID != "coarse" && pt.ID != "height" {
				t.Errorf("%s: %s has no rate", p.Name, pt.ID)
			}
			if pt.Counter == nil && pt.Range == nil && len(pt.States) == 0 && pt.Type != profile.Bool && pt.Unit != "1" && pt.ID != "coarse" && pt.ID != "on_battery" {
				t.Errorf("%s: %s has neither range, states nor counter", p.Name, pt.ID)
			}
		}
	}
}

// A proof that was tampered with must fail and say which register, for every
// profile that is shipped.
func TestAWrongProofFailsAndNamesTheRegister(t *testing.T) {
	value := regexp.MustCompile(`([{ ,])([a-z0-9_]+): (-?[0-9]+(?:\.[0-9]+)?|on|off)([,}])`)
	for _, p := range all(t) {
		t.Run(p.Name, func(t *testing.T) {
			text, err := configs.FS.ReadFile("profiles/" + p.Name + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			head, proof, _ := strings.Cut(string(text), "\nproof:\n")
			at := strings.Index(proof, "gives: {")
			m := value.FindStringSubmatchIndex(proof[at:])
			if m == nil {
				t.Fatal("its first proof gives no number")
			}
			id, was := proof[at:][m[4]:m[5]], proof[at:][m[6]:m[7]]
			wrong := map[string]string{"on": "off", "off": "on"}[was]
			if wrong == "" {
				wrong = "4321.25"
			}
			bad, problems := profile.Parse(p.Name+".yaml", []byte(head+"\nproof:\n"+proof[:at]+proof[at:][:m[6]]+wrong+proof[at:][m[7]:]))
			for _, pr := range problems {
				t.Fatal(pr.In(phrase.EN))
			}
			var said []string
			for _, pr := range bad.Prove() {
				said = append(said, pr.In(phrase.EN))
			}
			pt, _ := p.Point(id)
			if want := fmt.Sprintf("%s (%s)", id, place(p, pt)); len(said) == 0 || !strings.Contains(said[0], want) {
				t.Errorf("%s: %s for %s says %q, which lacks %q", id, wrong, was, said, want)
			}
		})
	}
}

// place is where a point is read, as the profile's text has it.
func place(p *profile.Profile, pt *profile.Point) string {
	switch {
	case p.Via == profile.Text:
		return fmt.Sprintf("field %d", pt.Field)
	case p.Via == profile.GPIO:
		return fmt.Sprintf("pin %d", pt.Pin)
	case pt.Table == 0:
		return "channel " + pt.Channel
	case pt.Bit >= 0 && !pt.Table.Bits():
		return fmt.Sprintf("%s 0x%04X.%d", pt.Table, pt.Addr, pt.Bit)
	}
	return fmt.Sprintf("%s 0x%04X", pt.Table, pt.Addr)
}

// No device of the house is asked more at once than it can answer, and what a
// status speaks for comes in the same answer.
func TestEveryProfileCanBePlanned(t *testing.T) {
	for _, p := range all(t) {
		if p.Via != profile.Modbus {
			continue
		}
		got := 0
		for _, r := range p.Plan() {
			got += len(r.Points)
			if most := p.Line.MaxRegisters; !r.Table.Bits() && int(r.Count) > most {
				t.Errorf("%s: reads %d registers at %s 0x%04X, at most %d", p.Name, r.Count, r.Table, r.Addr, most)
			}
		}
		if got != len(p.Points) {
			t.Errorf("%s: %d of %d points are read", p.Name, got, len(p.Points))
		}
	}
}

func TestTheDocumentationIsInStepWithTheProfiles(t *testing.T) {
	want := document(all(t))
	const file = "profiles/README.md"
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of step; run: go test ./configs -run Documentation -update", file)
	}
}
