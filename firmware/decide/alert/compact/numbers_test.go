package compact

import (
	"fmt"
	"strings"
	"testing"

	"tocsin/configs"
)

func shippedTables(t testing.TB) *Tables {
	t.Helper()
	tables, err := LoadTables(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// aloud writes clips as the characters that they say; a 一 that is said yì is 壹 here, so that a test sees it.
var aloud = strings.NewReplacer("say-10000", "万", "say-1000", "千", "say-100", "百", "say-10", "十", "say-0", "零", "say-1", "一", "say-2", "二", "say-3", "三", "say-4", "四", "say-5", "五",
	"say-6", "六", "say-7", "七", "say-8", "八", "say-9", "九", "say-point", "点", "say-liang", "两", "say-yi4", "壹", "say-mm", "毫米", "say-force", "级", "say-m", "米", " ", "")

func TestNumbersAreReadAsPeopleReadThem(t *testing.T) {
	n := shippedTables(t).Numbers
	units := shippedTables(t).Units
	for _, c := range []struct{ s, unit, cmn, yue string }{
		{"0", "mm", "零毫米", "零毫米"},
		{"1", "m", "壹米", "一米"},
		{"2", "m", "两米", "两米"},
		{"2", "mm", "两毫米", "两毫米"},
		{"2", "force", "二级", "二级"},
		{"1", "force", "一级", "一级"},
		{"2", "", "二", "二"},
		{"10", "force", "十级", "十级"},
		{"12", "force", "十二级", "十二级"},
		{"20", "mm", "二十毫米", "二十毫米"},
		{"22", "mm", "二十二毫米", "二十二毫米"},
		{"68", "mm", "六十八毫米", "六十八毫米"},
		{"100", "mm", "壹百毫米", "一百毫米"},
		{"105", "mm", "壹百零五毫米", "一百零五毫米"},
		{"110", "mm", "壹百一十毫米", "一百一十毫米"},
		{"112", "mm", "壹百一十二毫米", "一百一十二毫米"},
		{"200", "mm", "二百毫米", "二百毫米"},
		{"202", "mm", "二百零二毫米", "二百零二毫米"},
		{"510", "mm", "五百一十毫米", "五百一十毫米"},
		{"0.2", "m", "零点二米", "零点二米"},
		{"0.5", "m", "零点五米", "零点五米"},
		{"1.2", "m", "一点二米", "一点二米"},
		{"2.5", "m", "二点五米", "二点五米"},
		{"12.7", "m", "十二点七米", "十二点七米"},
		{"10.05", "m", "十点零五米", "十点零五米"},
		{"1000", "m", "壹千米", "一千米"},
		{"1001", "m", "壹千零一米", "一千零一米"},
		{"1010", "m", "壹千零一十米", "一千零一十米"},
		{"1100", "m", "壹千壹百米", "一千一百米"},
		{"2000", "m", "两千米", "两千米"},
		{"2222", "m", "两千二百二十二米", "两千二百二十二米"},
		{"10000", "", "一万", "一万"},
		{"10005", "", "一万零五", "一万零五"},
		{"10015", "", "一万零一十五", "一万零一十五"},
		{"12000", "", "一万二千", "一万二千"},
		{"20000", "", "两万", "两万"},
		{"20200", "", "两万零二百", "两万零二百"},
		{"22000", "", "两万二千", "两万二千"},
		{"120000", "", "十二万", "十二万"},
		{"2000000", "", "二百万", "二百万"},
		{"20000000", "", "两千万", "两千万"},
		{"99999999", "", "九千九百九十九万九千九百九十九", "九千九百九十九万九千九百九十九"},
	} {
		for lang, want := range map[string]string{"cmn": c.cmn, "yue": c.yue} {
			got, ok := n.with(lang, c.s, units[c.unit])
			if s := aloud.Replace(strings.Join(got, " ")); !ok || s != want {
				t.Errorf("%s %s in %s: %s, want %s (%v)", c.s, c.unit, lang, s, want, got)
			}
		}
	}
	for _, bad := range []string{"", "-1", "1.", ".5", "x", "1.x", "100000000", "1e3", "+1"} {
		if got, ok := n.with("cmn", bad, unit{}); ok {
			t.Errorf("%q is read %v", bad, got)
		}
	}
}

// Written by another rule than the code: hundreds, tens and ones, each a case of its own.
func TestEveryNumberToAThousandIsRead(t *testing.T) {
	names := []string{"零", "一", "二", "三", "四", "五", "六", "七", "八", "九"}
	short := func(v int) string {
		switch {
		case v < 10:
			return names[v]
		case v == 10:
			return "十"
		case v < 20:
			return "十" + names[v-10]
		case v%10 == 0:
			return names[v/10] + "十"
		}
		return names[v/10] + "十" + names[v%10]
	}
	long := func(v int) string {
		switch {
		case v < 100:
			return short(v)
		case v == 1000:
			return "一千"
		case v%100 == 0:
			return names[v/100] + "百"
		case v%100 < 10:
			return names[v/100] + "百零" + names[v%100]
		case v%100 < 20:
			return names[v/100] + "百一" + short(v%100)
		}
		return names[v/100] + "百" + short(v%100)
	}
	n := shippedTables(t).Numbers
	for v := range 1001 {
		want := long(v)
		for lang, soft := range map[string]*strings.Replacer{"yue": strings.NewReplacer(), "cmn": strings.NewReplacer("一百", "壹百", "一千", "壹千")} {
			got, ok := n.with(lang, fmt.Sprint(v), unit{})
			if s := aloud.Replace(strings.Join(got, " ")); !ok || s != soft.Replace(want) {
				t.Errorf("%d in %s: %s, want %s", v, lang, s, soft.Replace(want))
			}
			for d := 1; d < 10; d++ {
				tenth := fmt.Sprintf("%d.%d", v, d)
				got, ok := n.with(lang, tenth, unit{Clip: "say-m", Counted: true})
				if s := aloud.Replace(strings.Join(got, " ")); !ok || s != soft.Replace(want)+"点"+names[d]+"米" {
					t.Errorf("%s in %s: %s", tenth, lang, s)
				}
			}
		}
	}
}
