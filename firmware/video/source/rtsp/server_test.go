package rtsp

import (
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v5"

	"tocsin/firmware/video/stream"
)

func TestWhatIsPushedIsGivenAgain(t *testing.T) {
	for _, p := range []gortsplib.Protocol{gortsplib.ProtocolTCP, gortsplib.ProtocolUDP} {
		t.Run(p.String(), func(t *testing.T) {
			b := serve(t, nil)
			u, err := b.push(p, "rtsp://drone:push-key@"+b.addr+"/mast")
			if err != nil {
				t.Fatal(err)
			}
			if err := u.frame(0, frame264(0, 30000, true)); err != nil {
				t.Fatal(err)
			}
			b.until("the first picture and sound", func() bool {
				st := b.desk.s.State()
				return st.Picture.Codec == stream.H264 && st.Sound == stream.PCMA
			})
			pics, snds, err := b.watch(p, "rtsp://player:view-key@"+b.addr+"/mast")
			if err != nil {
				t.Fatal(err)
			}
			if n := <-pics; n != 0 {
				t.Fatalf("the first picture seen is %d, not the kept key picture", n)
			}
			for i := 1; i <= 20; i++ {
				if err := u.frame(i, frame264(i, 3000, i%10 == 0)); err != nil {
					t.Fatal(err)
				}
				if n := <-pics; n != i {
					t.Fatalf("picture %d came as %d", i, n)
				}
			}
			b.until("sound", func() bool { return len(snds) > 10 })
			if st := b.desk.s.State(); st.Skipped != 0 || st.Readers != 1 {
				t.Errorf("%+v", st)
			}
			u.c.Close()
			b.until("the stream is free", func() bool { return b.desk.s.State().From == "" })
		})
	}
}

func TestOnlyWhoHasTheKeyPushesAndSees(t *testing.T) {
	b := serve(t, nil)
	for _, c := range []struct {
		name, user, path string
		ok               bool
	}{
		{"no key", "", "/mast", false},
		{"a wrong key", "drone:guess@", "/mast", false},
		{"the view key", "drone:view-key@", "/mast", false},
		{"another stream", "drone:push-key@", "/well", false},
		{"no stream", "drone:push-key@", "/", false},
		{"the key of the user", "drone:push-key@", "/mast", true},
		{"the key in the query", "", "/mast?key=push-key", true},
		{"below live, as many encoders insist", "", "/live/mast?key=push-key", true},
		{"a wrong key in the query", "", "/mast?key=x", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.T = t
			u, err := b.push(gortsplib.ProtocolTCP, "rtsp://"+c.user+b.addr+c.path)
			if (err == nil) != c.ok {
				t.Fatalf("%v", err)
			}
			if err == nil {
				u.c.Close()
				b.until("the stream is free", func() bool { return b.desk.s.State().From == "" })
			}
		})
	}
	b.T = t
	u, err := b.push(gortsplib.ProtocolTCP, "rtsp://drone:push-key@"+b.addr+"/mast")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.watch(gortsplib.ProtocolTCP, "rtsp://a:view-key@"+b.addr+"/mast"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("before the first picture: %v", err)
	}
	if err := u.frame(0, frame264(0, 100, true)); err != nil {
		t.Fatal(err)
	}
	b.until("a picture", func() bool { return b.desk.s.State().Picture.Codec != stream.None })
	for user, ok := range map[string]bool{"": false, "a:push-key@": false, "a:x@": false, "a:view-key@": true} {
		if _, _, err := b.watch(gortsplib.ProtocolTCP, "rtsp://"+user+b.addr+"/mast"); (err == nil) != ok {
			t.Errorf("reader %q: %v", user, err)
		}
	}
	if _, _, err := b.watch(gortsplib.ProtocolUDP, "rtsp://"+b.addr+"/mast?key=view-key"); err != nil {
		t.Error(err)
	}
}
