package video

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source/onvif"
	"tocsin/firmware/video/terms"
)

// Bounds of a search for cameras.
const (
	searchMost     = 16 << 10 // of the question
	searchWait     = 2 * time.Second
	searchWaitMost = 10 * time.Second
	searchNetworks = 8
	searchAsk      = 5 * time.Second // one camera for its streams
	searchStreams  = 4
	discoveryPort  = 3702
)

// Search is the whole of `edged-video search`: the question comes on in, the answer goes out. It is
// a process of its own because what cameras say is a stranger's.
func Search(ctx context.Context, in io.Reader, out io.Writer) error {
	var q terms.Search
	if err := json.NewDecoder(io.LimitReader(in, searchMost)).Decode(&q); err != nil {
		return phrase.Wrap(err, "video.plan")
	}
	f, err := search(ctx, q)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(f)
}

func search(ctx context.Context, q terms.Search) (terms.Found, error) {
	if q.Wait <= 0 {
		q.Wait = searchWait
	}
	q.Wait = min(q.Wait, searchWaitMost)
	out := terms.Found{Cameras: []terms.Camera{}, Networks: []string{}}
	var found []onvif.Found
	var err error
	if q.At != "" {
		to, e := addressOf(q.At)
		if e != nil {
			return out, phrase.E("video.search_at", "at", q.At)
		}
		out.Networks = append(out.Networks, to.Addr().String())
		found, err = onvif.Ask(ctx, to, q.Wait)
	} else {
		nets := networks()
		if len(nets) == 0 {
			return out, phrase.E("video.search_none")
		}
		for _, n := range nets {
			out.Networks = append(out.Networks, n.Name)
		}
		found, err = onvif.Discover(ctx, nets, q.Wait*time.Duration(len(nets)))
	}
	if err != nil {
		out.Why = append(out.Why, phrase.Of(err))
	}
	for _, f := range found {
		c := terms.Camera{Address: f.Address, Name: f.Name, Hardware: f.Hardware, Network: f.On}
		if q.User != "" {
			if c.Streams, err = streamsOf(ctx, f, q); err != nil {
				m := phrase.Of(err)
				c.Why = &m
			}
		}
		out.Cameras = append(out.Cameras, c)
	}
	return out, nil
}

// networks are those on which cameras can be asked for.
func networks() (all []net.Interface) {
	have, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range have {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagMulticast == 0 || i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 {
			continue
		}
		as, err := i.Addrs()
		for _, a := range as {
			if p, e := netip.ParsePrefix(a.String()); err == nil && e == nil && p.Addr().Is4() && len(all) < searchNetworks {
				all = append(all, i)
				break
			}
		}
	}
	return all
}

// addressOf reads a host's address, with or without the port of discovery.
func addressOf(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, discoveryPort), nil
	}
	a, err := netip.ParseAddrPort(s)
	if err == nil && !a.Addr().Is4() {
		err = errors.New("not IPv4")
	}
	return a, err
}

// streamsOf asks a camera for its pictures.
func streamsOf(ctx context.Context, f onvif.Found, q terms.Search) (all []terms.CameraStream, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*searchAsk)
	defer cancel()
	cam, err := onvif.New(onvif.Opts{Name: strings.TrimSpace(f.Name + " " + f.Hardware), Address: f.Address, User: q.User, Password: q.Password, Timeout: searchAsk})
	if err != nil {
		return nil, err
	}
	profiles, err := cam.Profiles(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range profiles[:min(len(profiles), searchStreams)] {
		at, err := cam.StreamURL(ctx, p.Token)
		if err != nil {
			return all, err
		}
		all = append(all, terms.CameraStream{URL: at, Codec: p.Codec, Width: p.Width, Height: p.Height})
	}
	return all, nil
}
