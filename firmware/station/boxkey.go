package station

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/trust"
)

// boxKeyFile is the box's own signing key in the data directory: PKCS #8, readable
// by its owner alone.
const boxKeyFile = "box.key"

// boxKeyYears is how long the self-signed certificate of the key lasts. Whoever
// follows the box pins the key; the certificate only carries it.
const boxKeyYears = 30

// identity is the key with which the box signs what it sends out.
type identity struct {
	key  *trust.PrivateKey
	cert *x509.Certificate
}

// startIdentity loads the box's key, or makes one at the first start. A disk that
// hangs or is dead costs the key of this run alone: it signs with one that
// is not kept, and says so.
func (h *House) startIdentity() {
	h.guard.Go("station", "key", guard.Once, func(context.Context) error {
		key, err := openKey(filepath.Join(h.o.Data, boxKeyFile))
		if err != nil {
			h.setFault("box key", phrase.M("station.box_key", "detail", err))
			if key, err = trust.NewSigner(trust.P256); err != nil {
				return err
			}
		}
		from := BuildTime()
		if from.IsZero() {
			from = h.clock.Floor()
		}
		cert, err := key.SelfSigned("tocsin "+h.seen().bp.Doc.Site.Site.ID, from, from.AddDate(boxKeyYears, 0, 0))
		if err != nil {
			return err
		}
		h.identity.Store(&identity{key, cert})
		id, _ := trust.IDOf(key.Public())
		h.log.Info("box key", "id", string(id))
		return nil
	})
}

// openKey reads the key, or makes one where there is none. A file that cannot be
// read is never replaced: whoever follows the box pinned what is in it.
func openKey(file string) (*trust.PrivateKey, error) {
	b, err := os.ReadFile(file)
	if err == nil {
		return trust.LoadSigner(b)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := trust.NewSigner(trust.P256)
	if err != nil {
		return nil, err
	}
	text, err := key.PEM()
	if err != nil {
		return nil, err
	}
	return key, renameio.WriteFile(file, text, 0o600)
}

// Identity says who this box is to others.
func (h *House) Identity() api.Identity {
	site := h.seen().bp.Doc.Site
	out := api.Identity{Station: string(countyName(site)), Number: ownNumber(site)}
	if id := h.identity.Load(); id != nil {
		key, err := trust.IDOf(id.key.Public())
		pem, err2 := trust.PublicPEM(id.key.Public())
		if err == nil && err2 == nil {
			out.Key, out.PEM = string(key), string(pem)
		}
	}
	return out
}

// signer gives the box's key once it is there; at most wait for it.
func (h *House) signer(ctx context.Context, wait time.Duration) *identity {
	t := time.NewTimer(wait)
	defer t.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if id := h.identity.Load(); id != nil {
			return id
		}
		select {
		case <-tick.C:
		case <-t.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}
