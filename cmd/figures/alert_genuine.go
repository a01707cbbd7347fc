package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tocsin/hwtest/capgen"
)

// alertGenuine counts genuine alerts that the running box does not take: chains of an
// alert, an update and a cancel, in every profile, signed by xmlsec1 and by our own
// signer in every algorithm and form. Each must be well-formed, genuine, trusted and in
// force; one that raises a level must have raised it; and a cancel must have ended
// it. What only our signer can make is checked by openssl before it is sent.
func alertGenuine(b *bench) error {
	d, err := newDesk(b.seed)
	if err != nil {
		return err
	}
	nt, err := newNotary(b, d)
	if err != nil {
		return err
	}
	v, err := b.warnedVillage(d, wired{siren: true, speaker: true})
	if err != nil {
		return err
	}
	defer v.Close()
	x, err := v.beginWarned("data")
	if err != nil {
		return err
	}
	defer x.end()
	r := b.rng()
	counts := map[string]int{}
	refused, n, checked, loud := 0, 0, 0, 0
	sign := func(m *message, i int) (err error) {
		info, doc := c14nForms[i%3], append([]string{""}, c14nForms...)[i/3%4]
		by := ""
		if method := xmlsecMethods[m.Key]; method != "" && i%2 == 0 {
			by = "xmlsec1 " + m.Key
			m.Signed, err = nt.xmlsec(m.Text, m.Key, info, doc, i%4 == 0)
		} else {
			by, info = "ours "+m.Key, c14nForms[i/2%3]
			if m.Signed, err = d.sign(m.Text, m.Key, i/2); err == nil && (m.Key == "sm2" || m.Key == "ed25519") {
				checked++
				err = nt.openssl(*m, m.Key)
			}
		}
		counts[by]++
		counts["profile "+m.Profile]++
		counts["form "+info[strings.LastIndexByte(strings.TrimSuffix(info, "#"), '/')+1:]]++
		return err
	}
	take := func(m message) error {
		got, err := x.insist(m.Signed)
		if err != nil {
			return err
		}
		if n++; !got.WellFormed || !got.Genuine || !got.stands() {
			refused++
			b.log("REFUSED: %s by %s: %s\n%s", m.Profile, m.Key, got.why(), clipped(m.Signed))
		}
		return nil
	}
	alarms := func(want int) (bool, error) {
		err := b.until("the alarm", 2*time.Second, func() bool { open, err := x.open(); return err == nil && len(open) == want })
		return err == nil, b.ctx.Err()
	}
	chains := b.n(280, 2800)
	begun := time.Now()
	for i := range chains {
		o := capgen.Options{Profile: capgen.Profiles[i%len(capgen.Profiles)], Lasts: 24 * time.Hour, Sent: begun.Add(-time.Duration(10*(i%4000)+60) * time.Second), Away: r.IntN(6) == 0}
		key := countyKinds[(i+i/len(capgen.Profiles))%len(countyKinds)]
		m := message{Alert: d.g.Next(o), Key: key}
		if err := sign(&m, n); err != nil {
			return err
		}
		before := refused
		if err := take(m); err != nil {
			return err
		}
		up := o
		up.MsgType, up.Sender, up.References, up.Sent = "Update", m.Ref.Sender, []capgen.Ref{m.Ref}, m.Ref.Sent.Add(2*time.Second)
		up.Severity = m.Severity
		u := message{Alert: d.g.Next(up), Key: key}
		if err := sign(&u, n); err != nil {
			return err
		}
		if err := take(u); err != nil {
			return err
		}
		raises := u.Severity == "Extreme" && u.Hazard != "thunderstorm" && u.Concerns
		if raises {
			loud++
			ok, err := alarms(1)
			if err != nil {
				return err
			}
			if !ok && refused == before {
				refused++
				b.log("NO ALARM: %s by %s\n%s", u.Profile, u.Key, clipped(u.Signed))
			}
		}
		off := up
		off.MsgType, off.References, off.Sent = "Cancel", []capgen.Ref{m.Ref, u.Ref}, m.Ref.Sent.Add(4*time.Second)
		c := message{Alert: d.g.Next(off), Key: key}
		if err := sign(&c, n); err != nil {
			return err
		}
		before = refused
		if err := take(c); err != nil {
			return err
		}
		if ok, err := alarms(0); err != nil {
			return err
		} else if !ok && refused == before {
			refused++
			b.log("NOT ENDED: %s by %s\n%s", c.Profile, c.Key, clipped(c.Signed))
		}
	}
	var said []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		said = append(said, fmt.Sprintf("%s %d", k, counts[k]))
	}
	b.tellWhy("alert.genuine_refused", float64(refused), n, fmt.Sprintf("%s; %d checked by openssl; %d chains raised a level", strings.Join(said, ", "), checked, loud))
	return nil
}
