package bench

import (
	"fmt"
	"time"
)

// Good brings a release to a box as a technician does, whole, lets it be tried, and sees it
// stay: over its trial, and over a cut of the power afterwards.
func (r *Rig) Good() error {
	b, err := r.Box()
	if err != nil {
		return err
	}
	defer b.Off()
	t, err := r.open(b)
	if err != nil {
		return err
	}
	if err := r.bring(t, Variant{Version: "v2", Above: 1, Whole: true}); err != nil {
		return err
	}
	if err := t.Activate(2 * time.Minute); err != nil {
		return err
	}
	r.Log("it is tried")
	if err := b.Says(Armed, 2, most); err != nil {
		return err
	}
	if err := t.SignIn(); err != nil {
		return err
	}
	s, err := b.Ends(t, "v2")
	if err != nil {
		return err
	}
	if s.Reason != nil {
		return fmt.Errorf("it stayed, and gives a reason: %+v", s.Reason)
	}
	r.Log("it stayed")
	b.Cut()
	if t, err = r.open(b); err != nil {
		return err
	}
	return b.Fine(t, "v2")
}

// open switches a box on and signs a technician in.
func (r *Rig) open(b *Box) (*Technician, error) {
	if err := b.On(); err != nil {
		return nil, err
	}
	if err := b.Says(Armed, 1, most); err != nil {
		return nil, err
	}
	r.Log("armed %.1f s after the power", b.SinceOn().Seconds())
	t := b.Technician()
	return t, t.SignIn()
}

// bring makes a release and brings it.
func (r *Rig) bring(t *Technician, v Variant) error {
	file, err := r.Releases.Make(v)
	if err != nil {
		return err
	}
	begun := time.Now()
	err = t.Bring(file)
	r.Log("%s was brought in %.1f s: %v", v.Version, time.Since(begun).Seconds(), err)
	return err
}
