//go:build browser

package pictures

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"tocsin/firmware/serve/page/ui"
	"tocsin/hwtest/chromium"
)

// linear is what a byte of A-law sounds like (ITU-T G.711, table 1a), in 16 bits.
func linear(b byte) int {
	b ^= 0x55
	v := int(b&15)<<4 + 8
	if e := b >> 4 & 7; e > 0 {
		v = (v + 0x100) << (e - 1)
	}
	if b&0x80 == 0 {
		return -v
	}
	return v
}

func TestChromiumSpeaksALaw(t *testing.T) {
	w := newWorld(t)
	h := http.NewServeMux()
	h.Handle("/pictures/", w.Page())
	h.Handle("/console/", ui.County("/console/"))
	// What the console asks the hub for, for somebody who is signed in.
	for path, doc := range map[string]string{
		"/api/v1/session": `{"account":"wang","name":"王芳","role":"viewer","duties":["chief"],"setup":false,"open":false,"lasting":true,"pictures":true,"county":{"zh":"桐乡市","en":"Tongxiang"}}`,
		"/api/v1/county":  `{"stations":[],"alarms":[],"sent":[],"terminals":[],"unknown":0}`,
	} {
		h.HandleFunc(path, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprint(rw, doc)
		})
	}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Who", "王芳 chief")
		h.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)
	b := chromium.New(t, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
	b.Open(s.URL + "/console/?lang=zh#/live")

	// Each sample comes back within half a step of its segment.
	text, err := json.Marshal(voiceScript)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	b.JS(`(() => {
		let make, out = [];
		const Base = class { constructor() { this.port = { postMessage: m => out.push(...new Uint8Array(m)) }; } };
		new Function("AudioWorkletProcessor", "registerProcessor", `+string(text)+`)(Base, (n, c) => make = c);
		const p = new make(), x = new Float32Array(3200);
		for (let i = 0; i < x.length; i++) x[i] = (i - 1600) / 1600;
		for (let i = 0; i < x.length; i += 128) p.process([[x.subarray(i, i + 128)]]);
		return out;
	})()`, &got)
	if len(got) != 3200 {
		t.Fatalf("%d bytes of 3200 samples", len(got))
	}
	for i, v := range got {
		want := (i - 1600) * 32767 / 1600
		have := linear(byte(v))
		step := 16
		for m := max(want, -want); step < m/16; {
			step *= 2
		}
		if d := have - want; d > step || d < -step {
			t.Fatalf("sample %d sounds like %d", want, have)
		}
	}

	// Held with a mouse, it sends what the microphone hears until it is let go.
	button := `document.querySelector('[data-key="talk/` + string(upper) + `"]')`
	b.Until(button)
	b.JS(`document.getElementById("why").value = "转移"; document.getElementById("why").dispatchEvent(new Event("input")); `+button+`.setPointerCapture = () => {}; `+button+`.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true, cancelable: true }))`, nil)
	loud := func() (n int) {
		w.voices.mu.Lock()
		defer w.voices.mu.Unlock()
		for _, v := range w.voices.said {
			if x := linear(v); x > 1000 || x < -1000 {
				n++
			}
		}
		return n
	}
	for limit := time.Now().Add(30 * time.Second); loud() < 200; time.Sleep(20 * time.Millisecond) { // the fake microphone beeps each second
		if time.Now().After(limit) {
			var trouble string
			b.JS(`document.getElementById("trouble")?.textContent ?? ""`, &trouble)
			t.Fatalf("nothing is heard: %s %v", trouble, b.Logs)
		}
	}
	b.JS(button+`.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }))`, nil)
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if e := w.o.Diary.Recent(1); len(e) == 1 && e[0].Kind == Spoke && e[0].Who == "王芳" && e[0].Why == "转移" && !e[0].To.IsZero() {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("%+v", w.o.Diary.Recent(1))
		}
	}
}
