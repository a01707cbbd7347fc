package apitest

import (
	"context"
	"io"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// Update gives a release that is staged.
// While a level stands nothing may be activated.
func (b *Box) Update() api.Update {
	u := api.Update{Phase: "staged", Running: api.Release{Version: "1.0", Number: 1}, Next: &api.Release{Version: "1.1", Number: 2}, Trial: 10 * time.Minute}
	if b.Status().Level != "" {
		t := api.TextOf(phrase.M("update.level"))
		u.Barred = &t
	}
	return u
}

// StageRelease remembers who brought one.
func (b *Box) StageRelease(_ context.Context, r io.Reader, who api.Who) (api.Release, error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return api.Release{}, phrase.Wrap(err, "update.cut_short", "file", "x")
	}
	return api.Release{Version: "1.1", Number: 2}, b.act(Act{What: "stage-release", Who: who})
}

// ActivateRelease remembers who did.
func (b *Box) ActivateRelease(_ time.Duration, who api.Who) error {
	return b.act(Act{What: "activate-release", Who: who})
}

// ConfirmRelease remembers who did.
func (b *Box) ConfirmRelease(who api.Who) error {
	return b.act(Act{What: "confirm-release", Who: who})
}

// RollBackRelease remembers who did and why.
func (b *Box) RollBackRelease(reason string, who api.Who) error {
	return b.act(Act{What: "roll-back-release", Reason: reason, Who: who})
}

// Network gives one interface.
func (b *Box) Network() (api.Network, error) {
	return api.Network{Interfaces: []api.NetworkInterface{{Name: "eth0", Up: true, Addresses: []string{"192.168.1.50/24"}, Held: true}}}, b.Err
}

// ProposeNetwork remembers what was set.
func (b *Box) ProposeNetwork(_ context.Context, p api.NetworkProposal, who api.Who) (api.Revision, error) {
	return api.Revision{Number: 3, At: At, By: "page"}, b.act(Act{What: "propose-network", ID: p.Interface, Who: who})
}
