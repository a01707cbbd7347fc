package api

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/skip2/go-qrcode"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// Network is how the box's own network is, and what it shall be.
type Network struct {
	// Why says why it cannot be set from here; absent where it can.
	Why        *Text              `json:"why,omitempty"`
	Interfaces []NetworkInterface `json:"interfaces" nullable:"false"`
}

// NetworkInterface is one of them.
type NetworkInterface struct {
	Name string `json:"name"`
	Up   bool   `json:"up"`
	MAC  string `json:"mac,omitempty"`
	// Addresses and Gateway are read from the board: what is, not what was asked for.
	Addresses []string `json:"addresses" nullable:"false"`
	Gateway   string   `json:"gateway,omitempty"`
	// Set is what the site's document says; absent where it says nothing.
	Set *NetworkSetting `json:"set,omitempty"`
	// Held: it is what it shall be, as far as can be read back.
	Held bool `json:"held"`
}

// NetworkSetting is what an interface shall be.
type NetworkSetting struct {
	DHCP    bool     `json:"dhcp,omitempty"`
	Address string   `json:"address,omitempty" maxLength:"64" doc:"with its prefix: 192.168.8.20/24"`
	Gateway string   `json:"gateway,omitempty" maxLength:"64"`
	DNS     []string `json:"dns,omitempty" maxItems:"4"`
}

// NetworkProposal changes one interface in the site's document, on trial.
type NetworkProposal struct {
	Base      int    `json:"base" minimum:"1" doc:"the revision that it was made from"`
	Interface string `json:"interface" minLength:"1" maxLength:"15"`
	NetworkSetting
	Why     string        `json:"why" minLength:"1" maxLength:"200"`
	Session string        `json:"session" minLength:"8" maxLength:"64" doc:"a random word that is said again to confirm"`
	Within  time.Duration `json:"within_ns" doc:"how soon it must be confirmed, by the new address"`
}

// Networked is a box whose network can be read and set.
type Networked interface {
	Network() (Network, error)
	// ProposeNetwork puts one interface's setting into the document, on trial.
	ProposeNetwork(ctx context.Context, p NetworkProposal, who Who) (Revision, error)
}

func (s *Server) registerNetwork() {
	add(s, access.Technician, http.MethodGet, "/network", "network", "The box's own interfaces: what they are and what they shall be", func(context.Context, *none) (*body[Network], error) {
		n, err := s.box.Network()
		if err != nil {
			return nil, s.refused(http.StatusServiceUnavailable, err)
		}
		return &body[Network]{n}, nil
	})
	add(s, access.Technician, http.MethodPost, "/network", "propose-network", "Set one interface, on trial until it is confirmed by the new address", func(ctx context.Context, in *struct {
		Body struct {
			Named
			NetworkProposal
		}
	}) (*body[Revision], error) {
		w, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		p := in.Body.NetworkProposal
		p.Why = Clean(p.Why, 200)
		r, err := s.box.ProposeNetwork(ctx, p, w)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &body[Revision]{r}, nil
	})
	add(s, access.Technician, http.MethodGet, "/network/qr", "network-qr", "The page's address at an address of the box, as a QR code to photograph before it changes", func(_ context.Context, in *struct {
		Address string `query:"address" maxLength:"64" doc:"as it will be; by default the one that was asked"`
		Scheme  string `query:"scheme" enum:"http,https" default:"https"`
		Port    uint16 `query:"port"`
	}) (*huma.StreamResponse, error) {
		host := ""
		if in.Address != "" {
			a, err := netip.ParseAddr(in.Address)
			if err != nil {
				return nil, problem(http.StatusUnprocessableEntity, phrase.M("network.bad_host"))
			}
			if host = a.String(); in.Port != 0 {
				host = netip.AddrPortFrom(a, in.Port).String()
			} else if a.Is6() {
				host = "[" + host + "]"
			}
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			b, err := qrcode.Encode(in.Scheme+"://"+orElse(host, r.Host)+"/console/#/network", qrcode.Medium, 320)
			if err != nil {
				s.refuse(hc, problem(http.StatusInternalServerError, phrase.M("serve.internal")))
				return
			}
			w.Header().Set("Content-Type", "image/png")
			w.Write(b)
		}}, nil
	}, func(op *huma.Operation) { answers(op, "image/png") })
}
