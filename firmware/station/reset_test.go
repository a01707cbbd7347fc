package station

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/update/board"
)

// boardInit answers on a socket as images/init does.
type boardInit struct {
	mu     sync.Mutex
	until  time.Time
	mended bool
	did    []string
}

func (b *boardInit) doing() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.did, " ")
}

func serveInit(t *testing.T) *boardInit {
	t.Helper()
	path := filepath.Join(t.TempDir(), "init")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv("TOCSIN_INIT", path)
	b := &boardInit{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			var q struct{ Do string }
			_ = json.Unmarshal([]byte(line), &q)
			b.mu.Lock()
			if q.Do != "status" {
				b.did = append(b.did, q.Do)
			}
			s, _ := json.Marshal(map[string]any{"status": board.Status{Data: board.Data{How: "memory", Why: "no disk", Mended: b.mended}, ResetUntil: b.until}})
			b.mu.Unlock()
			_, _ = io.WriteString(c, string(s)+"\n")
			c.Close()
		}
	}()
	return b
}

func TestAResetNeedsTheButtonAndTheSecretInsideTheBox(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	h.show()
	who := api.Who{Name: "王工", Via: "page"}
	code := func(given string) string {
		t.Helper()
		err := h.FactoryReset(given, who)
		if err == nil {
			return ""
		}
		return phrase.Of(err).Code
	}
	if c := code("x"); c != "reset.none_here" {
		t.Fatal(c)
	}
	init := serveInit(t)
	if err := os.WriteFile(filepath.Join(h.o.Data, accessFile), []byte(`{"ssid":"tocsin-1","key":"abcd2345efgh"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := code("abcd2345efgh"); c != "reset.button" {
		t.Fatal("the secret alone:", c)
	}
	init.mu.Lock()
	init.until = time.Now().Add(time.Hour)
	init.mu.Unlock()
	if c := code("abcd2345efgi"); c != "reset.wrong" {
		t.Fatal("the button alone:", c)
	}
	h.shown.worst = 1
	if c := code("abcd2345efgh"); c != "reset.level" {
		t.Fatal("while a level stands:", c)
	}
	h.shown.worst = 0
	for range resetTries - 1 {
		code("wrong")
	}
	if c := code("abcd2345efgh"); c != "reset.wait" {
		t.Fatal("guessed without end:", c)
	}
	h.resets = resets{}
	if init.doing() != "" {
		t.Fatal("init was asked for", init.doing())
	}
	if c := code(" abcd-2345-efgh "); c != "" {
		t.Fatal(c)
	}
	for end := time.Now().Add(patience); init.doing() != "reset"; {
		if time.Now().After(end) {
			t.Fatal("init was not asked")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestABoardThatKeepsThingsInMemoryIsCalled(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	h.show()
	serveInit(t)
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.lookAtBoard(ctx) }()
	for by := time.Now().Add(patience); !calls(h, "data"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(by) {
			t.Fatalf("%+v", h.Faults())
		}
	}
	end()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 5, 12, 14, 40, 0, 0, time.UTC)
	for _, c := range []struct {
		how, aside string
		spare      time.Time
		want       string
	}{
		{"disk", "", time.Time{}, ""}, {"", "", time.Time{}, ""}, {"mended", "", time.Time{}, "station.data_mended"}, {"anew", "", time.Time{}, "station.data_anew"}, {"memory", "", time.Time{}, "station.data_memory"},
		{"anew", "/data/aside", time.Time{}, "station.data_anew_aside"}, {"anew", "/data/aside", at, "station.data_anew_aside"}, {"anew", "", at, "station.data_anew_spare"},
		{"memory", "", at, "station.data_memory_spare"}, {"mended", "", at, "station.data_mended_spare"}, {"disk", "", at, "station.data_spare"},
	} {
		m := dataText(board.Data{How: c.how, Aside: c.aside, Spare: c.spare})
		if m.Code != c.want {
			t.Errorf("%+v: %s", c, m.Code)
		}
		if en := m.In("en"); !c.spare.IsZero() && c.aside == "" && !strings.Contains(en, "2026-05-12 22:40") {
			t.Error(en)
		}
	}
}

func TestABoardWhoseDataIsMendedStartsAnewOnlyWhenItIsCalm(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	h.show()
	b := serveInit(t)
	h.shown.worst = 1
	ctx, end := context.WithCancel(t.Context())
	defer end()
	done := make(chan error, 1)
	go func() {
		done <- h.untilMended(ctx, board.Init{Socket: initSocket()}, 10*time.Millisecond, 50*time.Millisecond)
	}()
	time.Sleep(200 * time.Millisecond)
	if did := b.doing(); did != "" {
		t.Fatal("not mended yet, and init was asked for", did)
	}
	b.mu.Lock()
	b.mended = true
	b.mu.Unlock()
	time.Sleep(300 * time.Millisecond)
	if did := b.doing(); did != "" {
		t.Fatal("a level stands, and init was asked for", did)
	}
	h.mu.Lock()
	h.shown.worst = 0
	h.mu.Unlock()
	for by := time.Now().Add(patience); !strings.HasPrefix(b.doing(), "restart"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(by) {
			t.Fatal("it does not use its mended data")
		}
	}
	end()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
