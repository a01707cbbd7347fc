package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"tocsin/hwtest/impair"
)

// stay keeps the village up after the storm for whoever wants to look: both links are mended, the drone flies, and
// lines of keys squeeze the fibre.
func (d *demo) stay(ctx context.Context, keys io.Reader) {
	d.hub.fibre.Cut(false)
	d.hub.mobile.Cut(false)
	d.drone.start()
	fmt.Printf(`
本机网页 · the page:   %s
停止口令 · stop token: %s
建本机账号 · your account on it: %s
中心网页 · the hub:    %s
无人机画面 · the drone: %svideo （本机 · here）  %sconsole/#/live （县中心 · the county）
也可以推自己的画面 · or publish your own: %s
输入数字回车，光纤只剩这么多 kbit/s；0 是断，直接回车是恢复 · a number and Enter leave so many kbit/s of the fibre, 0 cuts it, Enter alone mends it
按 Ctrl-C 结束 · Ctrl-C ends it
`, d.url, d.token(), d.setUp(), d.hub.signIn(), d.url, d.hub.page(), d.drone.address())
	go func() {
		for s := bufio.NewScanner(keys); s.Scan() && ctx.Err() == nil; {
			fmt.Println(d.squeeze(strings.TrimSpace(s.Text())))
		}
	}()
	<-ctx.Done()
}

// squeeze does to the fibre what was typed, and says what.
func (d *demo) squeeze(typed string) string {
	if typed == "" {
		d.hub.fibre.Set(impair.Fibre, impair.Fibre)
		d.hub.fibre.Cut(false)
		return "光纤恢复 · the fibre is whole"
	}
	kbit, err := strconv.ParseFloat(typed, 64)
	switch {
	case err != nil || !(kbit >= 0 && kbit <= 1e6):
		return "请输入 0 到 1000000 的数字 · a number from 0 to 1000000, please"
	case kbit == 0:
		d.hub.fibre.Cut(true)
		return "光纤断 · the fibre is cut"
	}
	d.hub.fibre.Set(thin(kbit), impair.Fibre)
	d.hub.fibre.Cut(false)
	return fmt.Sprintf("光纤只剩 %.0f kbit/s · %.0f kbit/s are left of the fibre", kbit, kbit)
}
