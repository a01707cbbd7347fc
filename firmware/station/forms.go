package station

import (
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"tocsin/configs"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/serve/api"
)

// forms gives what a page asks for a device, made of its profile. One asker at a
// time: to read profiles costs time that the alarm path has a better use for.
type forms struct {
	mu   sync.Mutex
	of   *Blueprint // whose list is kept
	list []api.ProfileInfo
}

// Profiles gives the kinds of device that the box knows: the site's own and
// those that are shipped.
func (h *House) Profiles() []api.ProfileInfo {
	bp := h.seen().bp
	h.forms.mu.Lock()
	defer h.forms.mu.Unlock()
	if h.forms.of != bp {
		h.forms.of, h.forms.list = bp, profileInfos(bp.FS)
	}
	return h.forms.list
}

func profileInfos(fsys fs.FS) []api.ProfileInfo {
	var out []api.ProfileInfo
	for _, name := range profile.Names(fsys) {
		if p, _ := profile.Load(fsys, name); p != nil {
			out = append(out, infoOf(p, fsys))
		}
	}
	return out
}

func infoOf(p *profile.Profile, fsys fs.FS) api.ProfileInfo {
	return api.ProfileInfo{Profile: p.Name, Name: p.Title, Via: string(p.Via), Generic: strings.HasPrefix(p.Manual, "generic"), Own: !shippedAs(p.Name, fsys)}
}

// shippedAs tells whether the profile of a name is the shipped one.
func shippedAs(name string, fsys fs.FS) bool {
	file := "profiles/" + name + ".yaml"
	ours, err := fs.ReadFile(configs.FS, file)
	if err != nil {
		return false
	}
	theirs, err := fs.ReadFile(fsys, file)
	return err == nil && string(ours) == string(theirs)
}

// Profile gives the form of one kind of device.
func (h *House) Profile(name string) (api.ProfileForm, error) {
	bp := h.seen().bp
	h.forms.mu.Lock()
	defer h.forms.mu.Unlock()
	if !plainName.MatchString(name) {
		return api.ProfileForm{}, &phrase.Error{Message: phrase.M("site.no_profile", "profile", name), Err: api.ErrUnknown}
	}
	p, problems := profile.Load(bp.FS, name)
	if p == nil {
		if _, err := fs.Stat(bp.FS, "profiles/"+name+".yaml"); err != nil || len(problems) == 0 {
			return api.ProfileForm{}, &phrase.Error{Message: phrase.M("site.no_profile", "profile", name), Err: api.ErrUnknown}
		}
		return api.ProfileForm{}, phrase.E("site.bad_profile", "profile", name, "detail", phrase.Text{ZH: problems[0].In(phrase.ZH), EN: problems[0].In(phrase.EN)})
	}
	f := formOf(p)
	f.ProfileInfo = infoOf(p, bp.FS)
	return f, nil
}

// formOf makes a profile's form.
func formOf(p *profile.Profile) api.ProfileForm {
	f := api.ProfileForm{Manual: p.Manual, Fields: fieldsOf(p)}
	for _, k := range p.Fingerprint {
		f.KnownBy = append(f.KnownBy, k.String())
	}
	for i := range p.Points {
		pt := &p.Points[i]
		x := api.FormPoint{ID: pt.ID, Name: pt.Name, Type: string(pt.Type), Unit: string(pt.Unit), Every: pt.Every, First: pt.Alarm, Counter: pt.Counter != nil, Place: p.Place(i)}
		if pt.Range != nil {
			x.Min, x.Max = &pt.Range.Min, &pt.Range.Max
		}
		for _, s := range pt.States {
			x.States = append(x.States, s.Name)
		}
		f.Points = append(f.Points, x)
	}
	for i := range p.Writes {
		w := &p.Writes[i]
		r, unit := w.Span()
		x := api.FormWrite{ID: w.ID, Name: w.Name, Unit: string(unit), Min: r.Min, Max: r.Max, Step: 1}
		if w.Setting != nil {
			x.Step = w.Setting.Step()
		}
		if s := w.FailSafe; s != nil {
			x.FailSafe, x.After = &s.Value, s.After
		}
		f.Writes = append(f.Writes, x)
	}
	return f
}

// formats are the characters that lines have, as sites and scans take them.
var formats = []string{"8N1", "8E1", "8O1", "8N2", "7E1", "7O1", "7N2"}

// fieldsOf gives the keys that a site's file needs for a device of the profile.
func fieldsOf(p *profile.Profile) []api.FormField {
	field := func(key, typ string, label phrase.Message) api.FormField {
		return api.FormField{Key: key, Type: typ, Label: api.TextOf(label)}
	}
	out := []api.FormField{field("devices.name", "text", phrase.M("form.name"))}
	switch p.Via {
	case profile.Modbus:
		u := field("devices.unit", "whole", phrase.M("form.unit"))
		least, most := 1.0, 247.0
		u.Required, u.Default, u.Min, u.Max = true, "1", &least, &most
		out = append(out, u)
	case profile.SDI12, profile.I2C, profile.OneWire, profile.Pulse:
		a := field("devices.address", "text", phrase.M("form.address"))
		a.Required = true
		switch p.Via {
		case profile.SDI12:
			a.Pattern, a.Example, a.Default = sdiAddress.String(), "0", "0"
		case profile.I2C:
			a.Pattern, a.Example = i2cAddress.String(), "0x76"
		case profile.OneWire:
			a.Pattern, a.Example = wireAddress.String(), "28-0316a2795ee4"
		default:
			a.Pattern, a.Example = pinName.String(), "GPIO17"
		}
		out = append(out, a)
	}
	if p.Via == profile.Modbus || p.Via == profile.Text || p.Via == profile.NMEA {
		baud, format := field("lines.baud", "whole", phrase.M("form.baud")), field("lines.format", "choice", phrase.M("form.format"))
		least, most := 300.0, 4e6
		baud.Default, baud.Min, baud.Max = strconv.Itoa(p.Line.Baud), &least, &most
		format.Default, format.Choices = p.Line.Format, formats
		out = append(out, baud, format)
	}
	out = append(out, field("devices.every", "span", phrase.M("form.every")))
	for i := range p.Points {
		pt := &p.Points[i]
		if pt.Unit.Quantity() == point.Unit("m").Quantity() && pt.Counter == nil {
			zero, datum := field("devices.zero", "amount", phrase.M("form.zero")), field("devices.datum", "choice", phrase.M("form.datum"))
			zero.Unit, zero.Example = string(pt.Unit), "96.20 m"
			for _, d := range data {
				datum.Choices = append(datum.Choices, string(d))
			}
			return append(out, zero, datum)
		}
	}
	return out
}
