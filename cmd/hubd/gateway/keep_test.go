package gateway

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// keeper runs one until the test ends; stop ends it before.
func keeper(t *testing.T, dir string) (k *Keeper, stop func()) {
	t.Helper()
	k, err := NewKeeper(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = k.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return k, stop
}

func TestWhatIsKeptIsThereWhateverWasTorn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "narrow")
	k, stop := keeper(t, dir)
	const key = "narrow/0a1b/up/heard/!0000000b"
	if _, ok := k.Get(key); ok {
		t.Fatal("there is something already")
	}
	values := []string{"1", "22", strings.Repeat("3", keepMost), "4", ""}
	for _, v := range values {
		if err := k.Put(t.Context(), key, []byte(v)); err != nil {
			t.Fatal(err)
		}
		if got, ok := k.Get(key); !ok || string(got) != v {
			t.Fatalf("%q is kept as %q", v, got)
		}
	}
	if err := k.Put(t.Context(), key, make([]byte, keepMost+1)); err == nil {
		t.Error("more than fits was kept")
	}
	if err := k.Put(t.Context(), key, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := k.Put(t.Context(), key, []byte("new")); err != nil {
		t.Fatal(err)
	}
	stop()
	whole, err := os.ReadFile(k.file(key))
	if err != nil {
		t.Fatal(err)
	}
	// The write of "new", wherever it is torn, leaves "new" or "old".
	at := keepSlot * (6 % 2)
	for n := range keepHead + 3 {
		b := append([]byte(nil), whole...)
		for i := at + n; i < at+keepHead+3 && i < len(b); i++ {
			b[i] ^= 0x55
		}
		if err := os.WriteFile(k.file(key), b, 0o600); err != nil {
			t.Fatal(err)
		}
		k, stop := keeper(t, dir)
		if got, ok := k.Get(key); !ok || string(got) != "old" {
			t.Fatalf("torn at %d: %q", n, got)
		}
		if err := k.Put(t.Context(), key, []byte("next")); err != nil {
			t.Fatal(err)
		}
		if got, _ := k.Get(key); string(got) != "next" {
			t.Fatalf("torn at %d, then %q", n, got)
		}
		stop()
	}
	// Nothing readable is never nothing.
	if err := os.WriteFile(k.file(key), make([]byte, 2*keepSlot), 0o600); err != nil {
		t.Fatal(err)
	}
	k, _ = keeper(t, dir)
	if v, ok := k.Get(key); !ok || string(v) != "?" {
		t.Errorf("damaged: %q %v", v, ok)
	}
	if err := k.Put(t.Context(), key, []byte("x")); err == nil {
		t.Error("a damaged file was begun anew")
	}
}

func TestAKeyStaysInItsDirectory(t *testing.T) {
	k, _ := keeper(t, filepath.Join(t.TempDir(), "narrow"))
	for _, key := range []string{"../../x", "/x", "a//b", "..", "a/../../../b", "+86 138", "a//b/c"} {
		if f := k.file(key); !strings.HasPrefix(f, k.dir+string(filepath.Separator)) {
			t.Errorf("%q is kept in %s", key, f)
		}
		if err := k.Put(t.Context(), key, []byte("v")); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestNobodyWaitsForAKeeperLongerThanTheyWant(t *testing.T) {
	k, err := NewKeeper(t.TempDir()) // nobody runs it: a disk that hangs
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Put(ctx, "a", []byte("1")); err == nil {
		t.Error("it is said to be kept")
	}
}
