package gateway

import (
	"io/fs"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/configs"
	"tocsin/drivers"
	"tocsin/drivers/beidou"
	"tocsin/drivers/meshtastic"
	"tocsin/drivers/modem"
	"tocsin/drivers/sbd"
	"tocsin/drivers/serial"
)

// Device makes the driver of a terminal. Its port is opened when it runs. start starts its goroutines.
func Device(t hubfile.Terminal, start drivers.Starter) (drivers.Terminal, error) {
	baud := t.Baud
	if baud == 0 {
		baud = 115200
		if t.Kind == hubfile.KindSBD {
			baud = 19200
		}
	}
	open := func() (drivers.Port, error) {
		return serial.Open(t.Port, serial.Opts{Baud: baud, Format: "8N1", Start: start})
	}
	may := t.Transmit != nil
	x := hubfile.Transmit{}
	if may {
		x = *t.Transmit
	}
	switch t.Kind {
	case hubfile.KindMesh:
		return meshtastic.New(open, meshtastic.Opts{Channel: t.Channel, Transmit: may, Licence: x.Licence, Region: x.Band, Power: x.Power})
	case hubfile.KindSBD:
		return sbd.New(open, sbd.Opts{Transmit: may, Licence: x.Licence, IMEI: x.Card})
	case hubfile.KindModem:
		return modem.New(open, modem.Opts{Transmit: may, Card: x.Card, Approval: x.Approval, Satellite: x.Approval != ""})
	}
	name := t.Profile
	if name == "" {
		name = "beidou-bds3"
	}
	b, err := fs.ReadFile(configs.FS, "terminals/"+name+".yaml")
	if err != nil {
		return nil, err
	}
	p, err := beidou.ParseProfile(b)
	if err != nil {
		return nil, err
	}
	return beidou.New(open, beidou.Opts{Profile: p, Transmit: may, Card: x.Card, Approval: x.Approval})
}
