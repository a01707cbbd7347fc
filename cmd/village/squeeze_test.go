package main

import (
	"strings"
	"testing"

	"tocsin/hwtest/impair"
)

func TestWhatIsTypedSqueezesTheFibre(t *testing.T) {
	d := &demo{hub: &hub{fibre: impair.New(impair.Fibre, impair.Fibre, 1)}}
	defer d.hub.fibre.Close()
	for _, c := range []struct{ typed, said string }{
		{"120", "120 kbit/s are left"}, {"0", "is cut"}, {"", "is whole"},
		{"-1", "please"}, {"many", "please"}, {"NaN", "please"}, {"1e9", "please"},
	} {
		if said := d.squeeze(c.typed); !strings.Contains(said, c.said) {
			t.Errorf("%q: %s", c.typed, said)
		}
	}
}

func TestARungIsFoundInWhatThePageSays(t *testing.T) {
	for says, want := range map[string]string{
		"最新画面 0 秒前 · 黄渡村 · 无人机 · 640×360 H.264，309 kbit/s · 全质量 · 试发 355 kbit/s 成功": full,
		"最新画面 1.6 秒前 · 只有关键帧 · 链路拥塞":                                                "只有关键帧",
		"已请站点推送，正在等画面":                                                              "",
	} {
		if got := rungIn(says); got != want {
			t.Errorf("%s: %q", says, got)
		}
	}
}

func TestNewPicturesAreCountedOfEitherKind(t *testing.T) {
	for _, c := range []struct {
		was, is glance
		want    int
	}{
		{glance{frames: 10}, glance{frames: 13}, 3},
		{glance{frames: 10, stills: 4}, glance{frames: 10, stills: 6}, 2},
		{glance{frames: 10}, glance{frames: 10, stills: 6}, 0}, // the first still begins the count
		{glance{frames: 10}, glance{frames: 2}, 0},             // another connection
	} {
		if got := c.is.news(c.was); got != c.want {
			t.Errorf("%+v after %+v: %d", c.is, c.was, got)
		}
	}
}
