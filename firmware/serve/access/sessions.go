package access

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/google/renameio/v2"

	"tocsin/firmware/clock"
	"tocsin/firmware/serve/secret"
)

// How long a session lasts, and how many there may be. Who signs in once more than that
// ends their own oldest, never another's.
const (
	IdleTimeout  = 15 * time.Minute
	Lifetime     = 12 * time.Hour
	mostSessions = 128
	mostOfOneAcc = 8
	keepEvery    = time.Minute // what is only touched is written no more often
	mostAgent    = 120
)

// SessionInfo is one sign-in as people see it. ID names it and opens nothing.
type SessionInfo struct {
	ID, Account string
	Addr, Agent string
	// Since is how long ago they signed in; Idle how long ago something was done.
	Since, Idle time.Duration
}

// Times of sessions are counted from boot by the monotonic clock, so that a wall clock
// that is put right ends none and revives none; a session outlives this process where the
// boot goes on.
type sessions struct {
	scs   *scs.SessionManager
	store *sessionStore
	mono  func() time.Duration
}

// Keys of what a session holds.
const (
	keyAccount = "account"
	keyGen     = "gen"
	keyID      = "id"
	keyAddr    = "addr"
	keyAgent   = "agent"
	keyBegan   = "began"
)

func newSessions(o DoorOpts) *sessions {
	base, began := clock.Mono(), time.Now()
	mono := func() time.Duration { return base + time.Since(began) }
	st := &sessionStore{file: o.Sessions, log: o.Log, idle: o.Idle, life: o.Lifetime, mono: mono, all: map[string]*session{}, boot: bootID()}
	st.load()
	return &sessions{
		store: st, mono: mono,
		// By hand and not by scs.New, which starts a goroutine that nobody ends.
		scs: &scs.SessionManager{IdleTimeout: o.Idle, Lifetime: o.Lifetime, Store: st, Codec: codec{mono}, HashTokenInStore: true},
	}
}

// bootID is the kernel's (random(4)).
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// begin makes a session of an account that has just proved itself. Its token is new,
// whatever token came with the request: what somebody planted in a browser is worth nothing.
func (s *sessions) begin(old string, a Account, addr, agent string) (token, id string, err error) {
	s.end(old)
	ctx, err := s.scs.Load(context.Background(), "")
	if err != nil {
		return "", "", err
	}
	if err := s.scs.RenewToken(ctx); err != nil {
		return "", "", err
	}
	var b [4]byte
	rand.Read(b[:])
	id = hex.EncodeToString(b[:])
	agent = cleanName(agent)
	if len(agent) > mostAgent {
		agent = strings.ToValidUTF8(agent[:mostAgent], "")
	}
	for k, v := range map[string]any{keyAccount: a.ID, keyGen: a.gen, keyID: id, keyAddr: addr, keyAgent: agent, keyBegan: int64(s.mono())} {
		s.scs.Put(ctx, k, v)
	}
	token, _, err = s.scs.Commit(ctx)
	return token, id, err
}

// found is what a token opens.
type found struct {
	account, id string
	gen         int64
	idleLeft    time.Duration
}

// of gives what a token opens; touch counts it as used.
func (s *sessions) of(token string, touch bool) (found, bool) {
	if token == "" || len(token) > 64 {
		return found{}, false
	}
	ctx, err := s.scs.Load(context.Background(), token)
	if err != nil {
		return found{}, false
	}
	f := found{account: s.scs.GetString(ctx, keyAccount), id: s.scs.GetString(ctx, keyID), gen: s.scs.GetInt64(ctx, keyGen)}
	if f.account == "" || f.id == "" {
		return found{}, false
	}
	if touch {
		if _, _, err := s.scs.Commit(ctx); err != nil {
			return found{}, false // it ended meanwhile
		}
	}
	f.idleLeft = s.store.left(f.id)
	return f, f.idleLeft > 0
}

// end ends the session of a token.
func (s *sessions) end(token string) {
	if token == "" || len(token) > 64 {
		return
	}
	if ctx, err := s.scs.Load(context.Background(), token); err == nil && s.scs.GetString(ctx, keyID) != "" {
		_ = s.scs.Destroy(ctx) // our store has no error to give
	}
}

// list gives those that last, the latest first.
func (s *sessions) list() []SessionInfo {
	var out []SessionInfo
	now := s.mono()
	for _, x := range s.store.live() {
		out = append(out, SessionInfo{ID: x.id, Account: x.account, Addr: x.addr, Agent: x.agent, Since: now - x.began, Idle: now - x.touched})
	}
	slices.SortFunc(out, func(a, b SessionInfo) int { return int(a.Since - b.Since) })
	return out
}

// codec writes a session so that its end is counted from boot.
type codec struct{ mono func() time.Duration }

type coded struct {
	Until   time.Duration `json:"until"`
	Account string        `json:"account"`
	Gen     int64         `json:"gen"`
	ID      string        `json:"id"`
	Addr    string        `json:"addr"`
	Agent   string        `json:"agent"`
	Began   int64         `json:"began"`
}

// Encode is scs.Codec's, as is Decode.
func (c codec) Encode(deadline time.Time, v map[string]any) ([]byte, error) {
	x := coded{Until: c.mono() + time.Until(deadline)}
	x.Account, _ = v[keyAccount].(string)
	x.Gen, _ = v[keyGen].(int64)
	x.ID, _ = v[keyID].(string)
	x.Addr, _ = v[keyAddr].(string)
	x.Agent, _ = v[keyAgent].(string)
	x.Began, _ = v[keyBegan].(int64)
	return json.Marshal(x)
}

func (c codec) Decode(b []byte) (time.Time, map[string]any, error) {
	var x coded
	if err := json.Unmarshal(b, &x); err != nil {
		return time.Time{}, nil, err
	}
	return time.Now().Add(x.Until - c.mono()), map[string]any{
		keyAccount: x.Account, keyGen: x.Gen, keyID: x.ID, keyAddr: x.Addr, keyAgent: x.Agent, keyBegan: x.Began,
	}, nil
}

// session is one in the store.
type session struct {
	data           []byte
	until, touched time.Duration
	began          time.Duration
	id, account    string
	addr, agent    string
	over           context.Context
	end            context.CancelFunc
}

func newSession(c coded, b []byte) *session {
	x := &session{data: b, id: c.ID, account: c.Account, addr: c.Addr, agent: c.Agent, began: time.Duration(c.Began)}
	x.over, x.end = context.WithCancel(context.Background())
	return x
}

// sessionStore keeps sessions in RAM under the digest of their token, and in a file that a
// boot does not outlive. It is bounded.
type sessionStore struct {
	file string
	boot string
	idle time.Duration
	life time.Duration
	log  *slog.Logger
	mono func() time.Duration

	mu      sync.Mutex
	all     map[string]*session
	written time.Duration
}

var errEnded = errors.New("the session has ended")

// Find is scs.Store's, as are Commit and Delete. The key is the token's digest.
func (s *sessionStore) Find(key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.all[key]
	if x == nil || x.until <= s.mono() {
		return nil, false, nil
	}
	return x.data, true, nil
}

// Commit keeps one until its expiry. One that has ended is not revived by a request that
// was on its way.
func (s *sessionStore) Commit(key string, b []byte, expiry time.Time) error {
	var c coded
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.mono()
	s.sweep(now)
	x := s.all[key]
	fresh := x == nil
	if fresh {
		if now-time.Duration(c.Began) > time.Second {
			return errEnded
		}
		s.makeRoom(c.Account)
		x = newSession(c, b)
		s.all[key] = x
	}
	x.data, x.until, x.touched = b, now+time.Until(expiry), now
	if fresh || now-s.written > keepEvery {
		s.save(now)
	}
	return nil
}

// Delete ends one.
func (s *sessionStore) Delete(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(key)
	s.save(s.mono())
	return nil
}

func (s *sessionStore) drop(key string) {
	if x := s.all[key]; x != nil {
		delete(s.all, key)
		x.end()
	}
}

func (s *sessionStore) sweep(now time.Duration) {
	for k, x := range s.all {
		if x.until <= now {
			s.drop(k)
		}
	}
}

// sweepNow drops those that have run out, so that their streams end.
func (s *sessionStore) sweepNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(s.mono())
}

func (s *sessionStore) makeRoom(account string) {
	for s.count(account) >= mostOfOneAcc {
		s.dropOldest(func(x *session) bool { return x.account == account })
	}
	for len(s.all) >= mostSessions {
		s.dropOldest(func(*session) bool { return true })
	}
}

func (s *sessionStore) count(account string) (n int) {
	for _, x := range s.all {
		if x.account == account {
			n++
		}
	}
	return n
}

func (s *sessionStore) dropOldest(of func(*session) bool) {
	oldest := ""
	for k, x := range s.all {
		if of(x) && (oldest == "" || x.touched < s.all[oldest].touched) {
			oldest = k
		}
	}
	s.drop(oldest)
}

// end ends those that f names and tells how many they were.
func (s *sessionStore) end(f func(*session) bool) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, x := range s.all {
		if f(x) {
			s.drop(k)
			n++
		}
	}
	if n > 0 {
		s.save(s.mono())
	}
	return n
}

func (s *sessionStore) live() []session {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.mono()
	var out []session
	for _, x := range s.all {
		if x.until > now {
			out = append(out, *x)
		}
	}
	return out
}

func (s *sessionStore) left(id string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		if x.id == id {
			return x.until - s.mono()
		}
	}
	return 0
}

// over gives a context that ends with a session.
func (s *sessionStore) over(id string) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		if x.id == id {
			return x.over
		}
	}
	gone, end := context.WithCancel(context.Background())
	end()
	return gone
}

type keptSession struct {
	Key     string          `json:"key"`
	Data    json.RawMessage `json:"data"`
	Until   time.Duration   `json:"until"`
	Touched time.Duration   `json:"touched"`
}

type keptSessions struct {
	Boot     string        `json:"boot"`
	Sessions []keptSession `json:"sessions"`
}

// save writes them; called with mu held. The file lies in a folder in RAM.
func (s *sessionStore) save(now time.Duration) {
	if s.file == "" || s.boot == "" {
		return
	}
	s.written = now
	f := keptSessions{Boot: s.boot}
	for k, x := range s.all {
		f.Sessions = append(f.Sessions, keptSession{k, x.data, x.until, x.touched})
	}
	b, err := json.Marshal(f)
	if err == nil {
		err = renameio.WriteFile(s.file, b, 0o600)
	}
	if err != nil {
		s.log.Debug("sessions are not kept over a restart", "err", err)
	}
}

// load takes up those of this boot; what does not hold is left out, since signing in once
// more costs little.
func (s *sessionStore) load() {
	if s.file == "" || s.boot == "" {
		return
	}
	// Others can have written in it what they like.
	if st, err := os.Lstat(s.file); err != nil || st.Mode().Perm()&0o077 != 0 {
		return
	}
	b, err := secret.Read(s.file, 1<<20)
	if err != nil {
		return
	}
	s.all = parseSessions(b, s.boot, s.mono(), s.idle, s.life)
}

func parseSessions(b []byte, boot string, now, idle, life time.Duration) map[string]*session {
	all := map[string]*session{}
	var k keptSessions
	if json.Unmarshal(b, &k) != nil || k.Boot != boot || boot == "" {
		return all
	}
	for _, x := range k.Sessions {
		var c coded
		if json.Unmarshal(x.Data, &c) != nil || len(x.Key) != 43 || c.Account == "" || c.ID == "" || x.Until <= now || len(all) >= mostSessions ||
			x.Until-now > idle || c.Until-now > life || x.Touched > now || time.Duration(c.Began) > now {
			continue
		}
		y := newSession(c, x.Data)
		y.until, y.touched = x.Until, x.Touched
		all[x.Key] = y
	}
	return all
}
