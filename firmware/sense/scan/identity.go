package scan

import (
	"context"
	"strings"
	"unicode/utf8"

	"tocsin/drivers"
)

// Identity is what a unit says of itself. It is the maker's text, not proof: a
// unit may say nothing, and clones say what they please.
type Identity struct {
	// Vendor, Product, Revision and the rest are the objects of function 43 with
	// MEI type 14 (Modbus Application Protocol v1.1b3, section 6.21, table of
	// object ids 0 to 6).
	Vendor, Product, Revision, URL, Name, Model, Application string
	// Other are objects from 0x80 on, the maker's own, in order.
	Other []string
	// Server is the answer to function 17 (section 6.13): the maker's own bytes.
	// Text is what of them can be printed, where that is most of it.
	Server []byte
	Text   string
}

// IsZero tells whether the unit said nothing.
func (d *Identity) IsZero() bool {
	return d == nil || d.Vendor == "" && d.Product == "" && d.Revision == "" && d.URL == "" && d.Name == "" && d.Model == "" && d.Application == "" && len(d.Other) == 0 && len(d.Server) == 0
}

// Bounds of what one unit may tell.
const (
	mostParts   = 8  // answers to function 43
	mostOther   = 8  // objects of the maker's own
	mostObject  = 96 // characters of one
	serverBytes = 64
)

// identify asks a unit that was found what it is. Both questions only read. A
// unit that refuses one is asked the other; one that stays silent is left alone.
func identify(ctx context.Context, bus drivers.Registers, k *reader) (*Identity, error) {
	b, ok := bus.(drivers.Identified)
	if !ok {
		return nil, nil
	}
	d := &Identity{}
	silent, err := d.objects(ctx, b, k)
	if err != nil || silent {
		return d.orNil(), err
	}
	a, err := asked(ctx, k, func(ctx context.Context) (drivers.Answer, error) { return b.ServerID(ctx, k.unit) })
	if err := fatal(ctx, err); err != nil {
		return d.orNil(), err
	}
	if err == nil && !a.Doubt {
		d.Server, d.Text = ParseServerID(a.Data)
	}
	return d.orNil(), nil
}

func (d *Identity) orNil() *Identity {
	if d.IsZero() {
		return nil
	}
	return d
}

// objects asks for the basic and regular objects, part by part.
func (d *Identity) objects(ctx context.Context, b drivers.Identified, k *reader) (silent bool, err error) {
	code, from := byte(2), byte(0) // regular: what is basic comes with it
	for part := 0; part < mostParts; part++ {
		a, err := asked(ctx, k, func(ctx context.Context) (drivers.Answer, error) {
			return b.Identification(ctx, k.unit, code, from)
		})
		if err := fatal(ctx, err); err != nil {
			return false, err
		}
		if drivers.KindOf(err) == drivers.FaultRefused && code == 2 && part == 0 && codeOf(err) == 3 {
			code = 1 // it knows the basic ones only, and says so
			continue
		}
		if err != nil || a.Doubt {
			return drivers.KindOf(err) == drivers.FaultTimeout, nil
		}
		objects, next, more := ParseIdentification(a.Data)
		for _, o := range objects {
			d.take(o)
		}
		if !more || next <= from { // a unit that never comes to an end
			return false, nil
		}
		from = next
	}
	return false, nil
}

func (d *Identity) take(o Object) {
	at := map[byte]*string{0: &d.Vendor, 1: &d.Product, 2: &d.Revision, 3: &d.URL, 4: &d.Name, 5: &d.Model, 6: &d.Application}[o.ID]
	switch {
	case at != nil:
		*at = o.Text
	case o.ID >= 0x80 && o.Text != "" && len(d.Other) < mostOther:
		d.Other = append(d.Other, o.Text)
	}
}

func asked(ctx context.Context, k *reader, ask func(context.Context) (drivers.Answer, error)) (drivers.Answer, error) {
	bounded, cancel := context.WithTimeout(ctx, 2*k.wait+k.bus.Cost(drivers.Holding, 125)+adapter)
	defer cancel()
	a, err := ask(bounded)
	if kind := drivers.KindOf(err); err != nil && bounded.Err() != nil && ctx.Err() == nil && (kind == drivers.FaultCancelled || kind == drivers.FaultOther) {
		err = &drivers.Fault{Kind: drivers.FaultTimeout, Err: err}
	}
	return a, err
}

// Object is one string of function 43.
type Object struct {
	ID   byte
	Text string
}

// ParseIdentification reads the answer to function 43 with MEI type 14 from its
// conformity level on. A list that breaks off gives what was whole of it.
func ParseIdentification(b []byte) (objects []Object, next byte, more bool) {
	if len(b) < 4 {
		return nil, 0, false
	}
	if more = b[1] == 0xFF; more {
		next = b[2]
	}
	rest := b[4:]
	for range b[3] {
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return objects, 0, false
		}
		objects = append(objects, Object{rest[0], plain(rest[2 : 2+int(rest[1])])})
		rest = rest[2+int(rest[1]):]
	}
	return objects, next, more
}

// ParseServerID reads the answer to function 17 after its byte count. What it
// means is the maker's; text is its printable part where that is most of it.
func ParseServerID(b []byte) (server []byte, text string) {
	server = append([]byte(nil), b[:min(len(b), serverBytes)]...)
	best := []byte{}
	for i := 0; i < len(server); i++ {
		end := i
		for end < len(server) && server[end] >= 0x20 && server[end] < 0x7F {
			end++
		}
		if end-i > len(best) {
			best = server[i:end]
		}
		i = end
	}
	if len(best) >= 4 && 2*len(best) > len(server) {
		text = strings.TrimSpace(string(best))
	}
	return server, text
}

// plain keeps what a terminal and a page can show.
func plain(b []byte) string {
	s := strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7F || r == utf8.RuneError || r >= 0x80 && r < 0xA0 || r >= 0x2028 && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, string(b))
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > mostObject {
		s = string(r[:mostObject])
	}
	return s
}
