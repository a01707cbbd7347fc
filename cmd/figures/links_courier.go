package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/configs"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/courier/world"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

// failovers measures, on virtual time, from raising a red and an alarm to their first byte on a
// second link, with the fibre silently dead since a random moment before.
func failovers(b *bench) error {
	rules, err := courier.LoadRules(configs.FS)
	if err != nil {
		return err
	}
	n := b.n(500, 5000)
	red, alarm, err := world.Failover(rules, n, uint64(b.seed))
	if err != nil {
		return err
	}
	b.tell("links.failover_red_s", red.Seconds(), n)
	b.tell("links.failover_alarm_s", alarm.Seconds(), n)
	return nil
}

// recoveries measures how fast a box of one bad satellite is level again after a day in the
// dark: the worst of some runs.
func recoveries(b *bench) error {
	rules, err := courier.LoadRules(configs.FS)
	if err != nil {
		return err
	}
	n := b.n(10, 100)
	var newest, backlog time.Duration
	for i := range n {
		x, y, err := world.Recovery(rules, uint64(b.seed)+uint64(i))
		if err != nil {
			return err
		}
		newest, backlog = max(newest, x), max(backlog, y)
	}
	b.tell("links.recovery_newest_s", newest.Seconds(), n)
	b.tell("links.recovery_backlog_s", backlog.Seconds(), n)
	return nil
}

// deliveries counts warnings that arrived within their deadline, of ten thousand, with fibre and
// 4G cut, BeiDou losing a fifth, a mesh of two hops that each lose 30 %, and the power cut at
// random instants; and those that would have sounded twice.
func deliveries(b *bench) error {
	rules, err := courier.LoadRules(configs.FS)
	if err != nil {
		return err
	}
	n := b.n(10_000, 50_000)
	f, err := world.Deliver(rules, n, uint64(b.seed))
	if err == nil && len(f.Faults) > 0 {
		err = errors.New(f.Faults[0])
	}
	if err != nil {
		return err
	}
	b.tellWhy("links.delivered_of_10000", float64(f.InTime)*10_000/float64(n), n,
		fmt.Sprintf("%d power cuts, %d late, %d lost, the slowest after %v", f.Cuts, f.Late, f.Lost, f.Worst.Round(time.Second)))
	b.tell("links.sounded_twice", float64(f.Twice), n)
	return nil
}

// cutLinks counts what was acknowledged as kept and lost all the same, or acted on twice, over
// power cuts at random instants under a load of all classes.
func cutLinks(b *bench) error {
	rules, err := courier.LoadRules(configs.FS)
	if err != nil {
		return err
	}
	n := b.n(1000, 5000)
	f, err := world.PowerCuts(rules, n, uint64(b.seed))
	if err == nil && len(f.Faults) > 0 {
		err = errors.New(f.Faults[0])
	}
	if err != nil {
		return err
	}
	b.tellWhy("links.powercut_lost", float64(f.Lost+f.Twice), f.Cuts, fmt.Sprintf("%d messages of classes 0 to 3", f.Posted))
	return nil
}

// underUDP is what IPv4 and UDP add to each datagram.
const underUDP = 20 + 8

// farEnd answers a station's datagrams as the hub's gateway does, and counts their bytes, those
// of IP and UDP too.
type farEnd struct {
	conn net.PacketConn
	psk  *letter.Key
	keys []*wire.Keys

	mu     sync.Mutex
	next   uint64
	probes int
	bytes  int                        // of probes and echoes
	told   map[uint8]map[string][]int // by type of envelope and id, each exchange's bytes
}

func newFarEnd(psk, root []byte, station string) (*farEnd, error) {
	k, err := letter.NewKey(psk)
	if err != nil {
		return nil, err
	}
	w, err := wire.NewKeys(root, station, 1)
	if err != nil {
		return nil, err
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &farEnd{conn: c, psk: k, keys: []*wire.Keys{w}, told: map[uint8]map[string][]int{}}
	go f.serve()
	return f, nil
}

func (f *farEnd) serve() {
	in := make([]byte, letter.DatagramMost+1)
	for {
		n, from, err := f.conn.ReadFrom(in)
		if err != nil {
			return
		}
		g, err := f.psk.Open(letter.FromStation, in[:n])
		if err != nil {
			continue
		}
		f.mu.Lock()
		f.next++
		answer := letter.Datagram{Counter: f.next, Of: g.Counter, Kind: letter.KindEcho}
		if g.Kind == letter.KindLetter {
			answer.Kind, answer.Word = letter.KindAnswer, letter.Kept
		}
		out, err := f.psk.Seal(letter.FromHub, &answer)
		if err == nil {
			_, err = f.conn.WriteTo(out, from)
		}
		both := n + len(out) + 2*underUDP
		switch {
		case err != nil:
		case g.Kind == letter.KindProbe:
			f.probes++
			f.bytes += both
		case g.Kind == letter.KindLetter:
			kind := uint8(0)
			if e, err := wire.OpenEnvelope(g.Letter.Body, 1<<20, f.keys, wire.Up); err == nil {
				kind = e.Type
			}
			if f.told[kind] == nil {
				f.told[kind] = map[string][]int{}
			}
			f.told[kind][g.Letter.ID] = append(f.told[kind][g.Letter.ID], both)
		}
		f.mu.Unlock()
	}
}

func (f *farEnd) count() (probes, bytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.probes, f.bytes
}

// each gives the bytes of the longest exchange of a type.
func (f *farEnd) each(kind uint8) (most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, all := range f.told[kind] {
		for _, n := range all {
			most = max(most, n)
		}
	}
	return most
}

// idleSatellite measures what a day of nothing costs over satellite IP: a real edged whose only
// link are datagrams, with the bytes of IP and UDP, both ways. Its probes are counted and reckoned
// for a day; the hourly word on how it stands, and the daily one on what its channels mean, are
// added as they were measured. Readings are no idleness.
func idleSatellite(b *bench) error {
	v, err := b.village(wired{})
	if err != nil {
		return err
	}
	defer v.Close()
	psk, root := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(psk)
	_, _ = rand.Read(root)
	far, err := newFarEnd(psk, root, "441882103201") // as the village is called
	if err != nil {
		return err
	}
	defer far.conn.Close()
	v.more += fmt.Sprintf("\ncounty: {number: 17, root: secrets/county.key}\nlinks: {satellite: {kind: datagrams, servers: [%q], psk: secrets/psk}}\n", far.conn.LocalAddr())
	site, err := v.site()
	if err != nil {
		return err
	}
	telemetry, err := configs.FS.ReadFile("telemetry.yaml")
	if err != nil {
		return err
	}
	rare := strings.Replace(string(telemetry), "every: 5m ", "every: 4h ", 1)
	if rare == string(telemetry) {
		return errors.New("telemetry.yaml has no period of 5m any more")
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(site), "telemetry.yaml"), []byte(rare), 0o644); err != nil {
		return err
	}
	secrets := filepath.Join(filepath.Dir(site), "secrets")
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		return err
	}
	for name, key := range map[string][]byte{"county.key": root, "psk": psk} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(hex.EncodeToString(key)), 0o600); err != nil {
			return err
		}
	}
	x, err := b.startArmed(site, filepath.Join(b.dir, "data"))
	if err != nil {
		return err
	}
	defer x.end()
	if err := b.until("the first probe", 4*time.Minute, func() bool { n, _ := far.count(); return n >= 1 }); err != nil {
		return fmt.Errorf("%w; the box: %s", err, x.tail(4))
	}
	// From one probe to a later one, so that no part of a period is counted.
	var from time.Time
	next := func() (time.Time, int, error) {
		n, _ := far.count()
		err := b.until("the next probe", 10*time.Minute, func() bool { m, _ := far.count(); return m > n })
		_, bytes := far.count()
		return time.Now(), bytes, err
	}
	from, had, err := next()
	if err != nil {
		return err
	}
	probes, at, bytes := 0, from, had
	for at.Sub(from) < choose(b.long, 20*time.Minute, 3*time.Minute) {
		if at, bytes, err = next(); err != nil {
			return err
		}
		probes++
	}
	day := float64(bytes-had) / at.Sub(from).Seconds() * (24 * time.Hour).Seconds()
	kept := day
	day += float64(24*far.each(wire.TypeState) + far.each(wire.TypeDictionary))
	far.mu.Lock()
	kinds := strings.Trim(fmt.Sprint(slices.Sorted(maps.Keys(far.told))), "[]")
	far.mu.Unlock()
	b.tellWhy("links.idle_bytes_day_satellite", day, probes, fmt.Sprintf("probes and echoes %.0f; a word on how it stands %d, on its channels %d; types of letters seen: %s",
		kept, far.each(wire.TypeState), far.each(wire.TypeDictionary), kinds))
	return nil
}
