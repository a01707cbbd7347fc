package configs_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// document writes profiles/README.md: one row a device, in both languages.
func document(ps []*profile.Profile) []byte {
	var b bytes.Buffer
	generic := 0
	for _, p := range ps {
		if strings.HasPrefix(p.Name, "generic-") {
			generic++
		}
	}
	fmt.Fprintf(&b, `<!-- Written by go test ./configs -run Documentation -update; change the profiles instead. -->

# 设备文件 · Device profiles

共 %d 种设备，其中 %d 种为通用（generic）：没有可引用的厂家寄存器表，使用前必须与说明书核对。
%d devices, of which %d are generic: there is no maker's table to cite, so compare with the manual before use.

添加一种设备：复制最接近的一个文件，写上说明书出处和实录，见 [CONTRIBUTING.md](../../CONTRIBUTING.md)。
To add one, copy the nearest file, name its manual and record a proof; see [CONTRIBUTING.md](../../CONTRIBUTING.md).

加粗的测点优先读取。The points in bold are read first.
输出：继电器，以及可由操作人用 edged set 设定的量；被发声输出占用的不能这样设定。
Outputs: relays, and what operators may set by edged set; what a sounding output uses cannot be set so.
识别：edged scan 凭这个寄存器认出设备。Known by: the register by which edged scan names the device.

| 设备 · Device | 线路 · Line | 测点 · Points | 输出 · Outputs | 来源 · Source |
| --- | --- | --- | --- | --- |
`, len(ps), generic, len(ps), generic)
	for _, p := range ps {
		fmt.Fprintf(&b, "| [`%s`](%s.yaml)<br>%s<br>%s | %s | %s | %s | %s |\n", p.Name, p.Name, cell(p.Title.ZH), cell(p.Title.EN),
			line(p), strings.Join(points(p), "<br>"), strings.Join(writes(p), "<br>"), cell(p.Manual))
	}
	return b.Bytes()
}

func line(p *profile.Profile) string {
	if p.Via != profile.Modbus && p.Via != profile.Text {
		return string(p.Via)
	}
	s := fmt.Sprintf("%s %d %s", p.Via, p.Line.Baud, p.Line.Format)
	for _, f := range p.Fingerprint {
		s += "<br>识别 · known by `" + f.String() + "`"
	}
	return s
}

var digits = regexp.MustCompile(`[0-9]+`)

// points tells a device's points; those that one entry made share a line.
func points(p *profile.Profile) []string {
	var out []string
	for i := 0; i < len(p.Points); {
		pt := &p.Points[i]
		n := 1
		for i+n < len(p.Points) && alike(pt, &p.Points[i+n]) {
			n++
		}
		id := "`" + pt.ID + "`"
		zh, en := cell(pt.Name.ZH), cell(pt.Name.EN)
		if n > 1 {
			last := &p.Points[i+n-1]
			id += "…`" + last.ID + "`"
			zh, en = digits.ReplaceAllString(zh, "n"), digits.ReplaceAllString(en, "n")
		}
		if pt.Alarm {
			id = "**" + id + "**"
		}
		s := id + " " + zh + " · " + en
		if pt.Unit != "1" && pt.Unit != "on/off" {
			s += ", " + string(pt.Unit)
		}
		if pt.Range != nil {
			s += " " + number(pt.Range.Min) + "…" + number(pt.Range.Max)
		}
		out = append(out, s)
		i += n
	}
	return out
}

// alikeWrites tells whether two writes differ by their number alone.
func alikeWrites(a, b *profile.Write) bool {
	return a.Table == b.Table && (a.Setting == nil) == (b.Setting == nil) && numbered(a.Name.EN) &&
		digits.ReplaceAllString(a.Name.EN, "n") == digits.ReplaceAllString(b.Name.EN, "n")
}

// numbered tells whether a name ends in a number, as those of one list do.
func numbered(name string) bool { return regexp.MustCompile(`(^| )[0-9]+$`).MatchString(name) }

// alike tells whether two points differ by their number alone.
func alike(a, b *profile.Point) bool {
	return a.Table == b.Table && a.Type == b.Type && a.Unit == b.Unit && a.Alarm == b.Alarm && numbered(a.Name.EN) &&
		digits.ReplaceAllString(a.Name.EN, "n") == digits.ReplaceAllString(b.Name.EN, "n")
}

func writes(p *profile.Profile) []string {
	if len(p.Writes) == 0 {
		return []string{"—"}
	}
	var out []string
	for i := 0; i < len(p.Writes); {
		w, n := &p.Writes[i], 1
		for i+n < len(p.Writes) && alikeWrites(w, &p.Writes[i+n]) {
			n++
		}
		id, zh, en := "`"+w.ID+"`", cell(w.Name.ZH), cell(w.Name.EN)
		if n > 1 {
			id += "…`" + p.Writes[i+n-1].ID + "`"
			zh, en = digits.ReplaceAllString(zh, "n"), digits.ReplaceAllString(en, "n")
		}
		s := id + " " + zh + " · " + en
		if w.Setting != nil {
			g, unit := w.Span()
			s += ", " + number(g.Min) + "…" + number(g.Max)
			if unit != "1" {
				s += " " + string(unit)
			}
		}
		if f := w.FailSafe; f != nil {
			s += fmt.Sprintf("<br>安全值 · fail-safe %s, %s", number(f.Value), point.Span(f.After))
		}
		out = append(out, s)
		i += n
	}
	return out
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// cell keeps a text from ending its cell of the table.
func cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(s) }
