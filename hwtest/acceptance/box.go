package acceptance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// box is a board's page, seen over the network.
type box struct {
	base  string
	http  *http.Client
	print string // of its certificate, SHA-256
}

// answerMost bounds an answer, in bytes.
const answerMost = 32 << 20

// open makes a client of an address: with a scheme, or a host with or without a port. Where
// fingerprint is given the certificate has to have it; else it is noted and shown.
func open(address, fingerprint string) (*box, error) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q 不是盒子的地址，例如 192.168.1.50 · no address of a board", address)
	}
	b := &box{base: u.Scheme + "://" + u.Host}
	want := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(fingerprint))
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	b.http = &http.Client{Jar: jar, Transport: &http.Transport{
		DisableKeepAlives: true,
		// The box's certificate is its own: it is known by its fingerprint.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
			sum := sha256.Sum256(s.PeerCertificates[0].Raw)
			got := hex.EncodeToString(sum[:])
			if want != "" && got != want || b.print != "" && got != b.print {
				return fmt.Errorf("证书指纹是 %s：应答的是别的盒子，或中间有人 · another box answers, or somebody between", got)
			}
			b.print = got
			return nil
		}},
	}}
	return b, nil
}

// ask sends one request within a time; body is nil for a GET.
func (b *box) ask(ctx context.Context, most time.Duration, path, media string, body io.Reader, into any) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, b.base+path, body)
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", media)
	}
	resp, err := b.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	t, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		var p struct{ ZH, EN string }
		if json.Unmarshal(t, &p) == nil && p.ZH != "" {
			return errors.New(p.ZH + " · " + p.EN)
		}
		return fmt.Errorf("%s: %.300s", resp.Status, t)
	}
	switch v := into.(type) {
	case nil:
		return nil
	case *[]byte:
		*v = t
		return nil
	}
	if len(t) == 0 {
		return nil
	}
	return json.Unmarshal(t, into)
}

func (b *box) get(ctx context.Context, path string, into any) error {
	return b.ask(ctx, 15*time.Second, "/api/v1"+path, "", nil, into)
}

func (b *box) post(ctx context.Context, path string, body, into any) error {
	t, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return b.ask(ctx, 30*time.Second, "/api/v1"+path, "application/json", bytes.NewReader(t), into)
}

// signIn opens a session.
func (b *box) signIn(ctx context.Context, account, password string) error {
	form := url.Values{"account": {account}, "password": {password}, "to": {"/live"}}
	if err := b.ask(ctx, 30*time.Second, "/sign-in", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), nil); err != nil {
		return err
	}
	var s session
	if err := b.get(ctx, "/session", &s); err != nil {
		return err
	}
	if s.Account == "" {
		return errors.New("账号或密码不对 · the account or its password is not right")
	}
	if s.Role != "technician" && s.Role != "owner" {
		return fmt.Errorf("需要技术员账号，这是 %s · a technician's account is needed", s.Role)
	}
	return nil
}

// until asks again and again until a thing is so.
func until(ctx context.Context, most time.Duration, ok func() error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s 内没有等到 · not within that: %w", most, err)
		case <-time.After(300 * time.Millisecond):
		}
	}
}
