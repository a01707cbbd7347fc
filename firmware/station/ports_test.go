package station

import (
	"errors"
	"strings"
	"testing"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
)

func TestALineSaysHowItIsSpoken(t *testing.T) {
	const port = "{port: /dev/ttyS1, baud: 9600}"
	for _, c := range []struct{ line, bus, format, code string }{
		{port, "modbus rtu", "8N1", ""},
		{"{port: /dev/ttyS1, mode: rtu}", "modbus rtu", "8N1", ""},
		{"{port: /dev/ttyS1, mode: ascii}", "modbus ascii", "7E1", ""},
		{"{port: /dev/ttyS1, mode: ascii, format: 8N1}", "modbus ascii", "8N1", ""},
		{"{port: /dev/ttyS1, rs485: {send: low, before: 1ms}}", "modbus rtu", "8N1", ""},
		{`{tcp: "192.0.2.1:502"}`, "modbus tcp 192.0.2.1:502", "8N1", ""},
		{`{tcp: "192.0.2.1:502", framing: modbus-tcp}`, "modbus tcp 192.0.2.1:502", "8N1", ""},
		{`{tcp: "192.0.2.1:4001", framing: rtu}`, "modbus rtu", "8N1", ""},
		{`{tcp: "192.0.2.1:4001", framing: ascii}`, "modbus ascii", "7E1", ""},
		{`{tcp: "192.0.2.1:4001", framing: rtu-tcp}`, "", "", "site.line_framing"},
		{"{port: /dev/ttyS1, framing: rtu}", "", "", "site.line_framing_port"},
		{"{port: /dev/ttyS1, mode: plain}", "", "", "site.line_mode"},
		{`{tcp: "192.0.2.1:502", mode: ascii}`, "", "", "site.line_mode_tcp"},
		{`{tcp: "192.0.2.1:502", rs485: {}}`, "", "", "site.line_rs485_tcp"},
		{"{port: /dev/ttyS1, rs485: {send: up}}", "", "", "site.line_rs485_send"},
		{"{port: /dev/ttyS1, rs485: {after: 2s}}", "", "", "site.line_rs485_hold"},
	} {
		bp, ps := prove(t, strings.Replace(whole, port, c.line, 1))
		if c.code != "" {
			if bp != nil || len(ps) == 0 || ps[0].Message.Code != c.code {
				t.Errorf("%s: %v", c.line, ps)
			}
			continue
		}
		if bp == nil {
			t.Errorf("%s: %s", c.line, ps[0].In(phrase.EN))
			continue
		}
		var p LinePlan
		for _, l := range bp.Lines {
			if l.Name == "west" {
				p = l
			}
		}
		bus, err := openRegisters(p, func() (drivers.Port, error) { return nil, errors.New("not opened here") })
		if err != nil || bus.String() != c.bus || p.Format != c.format {
			t.Errorf("%s: %v, format %s, %v", c.line, bus, p.Format, err)
		}
		if r := directionOf(p.Config.RS485); strings.Contains(c.line, "rs485") != (r != nil) || r != nil && !r.RTSLowOnSend {
			t.Errorf("%s: %+v", c.line, r)
		}
	}
}
