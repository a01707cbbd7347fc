package hubfile

import (
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/trust"
)

// File is the hub's document.
type File struct {
	Version int         `yaml:"version"`
	Name    phrase.Text `yaml:"name"`
	// Data is the directory of the streams and the windows of counters.
	Data string `yaml:"data"`
	// Socket is where the desk's commands reach the daemon; DATA/hubd.sock.
	Socket    string      `yaml:"socket"`
	NATS      NATS        `yaml:"nats"`
	Keep      Keep        `yaml:"keep"`
	Datagrams []Datagrams `yaml:"datagrams"`
	// Terminals are gateways for short messages: satellites, a mesh, SMS.
	Terminals []Terminal `yaml:"terminals"`
	// Warnings is by what the desk condenses warnings.
	Warnings Warnings `yaml:"warnings"`
	Page     Page     `yaml:"page"`
	// Pictures is live video; nil without.
	Pictures *Pictures `yaml:"pictures"`
	// Talk is by what officers speak by the stations' loudspeakers.
	Talk     Talk               `yaml:"talk"`
	Stations map[string]Station `yaml:"stations"`
}

// NATS is the engine: embedded (Listen) or one that exists (Servers).
type NATS struct {
	Listen string `yaml:"listen"`
	TLS    *TLS   `yaml:"tls"`
	// Servers are addresses of an existing cluster; who may publish what is then
	// its own administrator's.
	Servers []string `yaml:"servers"`
	// CA is a PEM file that alone vouches for Servers; Seed a file with the
	// hub's NKey seed, Credentials a .creds file.
	CA          string `yaml:"ca"`
	Seed        string `yaml:"seed"`
	Credentials string `yaml:"credentials"`
	// Replicas of each stream (3 in a cluster of three; 1).
	Replicas int `yaml:"replicas"`
}

// TLS names PEM files. With Clients, a peer must show a certificate of theirs.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	Clients     string `yaml:"clients"`
}

// Keep bounds the streams.
type Keep struct {
	Up       config.Span `yaml:"up"`       // station data (90d)
	Down     config.Span `yaml:"down"`     // what goes to stations (7d)
	Receipts config.Span `yaml:"receipts"` // and so the memory of ids (14d)
	Most     config.Size `yaml:"most"`     // of UP; a full one refuses what is new (20 GiB)
}

// Datagrams is a gateway for UDP, as over satellite IP.
type Datagrams struct {
	Name   string `yaml:"name"`
	Listen string `yaml:"listen"`
}

// Terminal is a gateway for short messages on a serial port.
type Terminal struct {
	Name string `yaml:"name"`
	// Kind: beidou, meshtastic, sbd (Iridium) or modem (SMS by 4G or Tiantong).
	Kind string `yaml:"kind"`
	Port string `yaml:"port"`
	Baud int    `yaml:"baud"` // 115200; sbd 19200
	// Profile is how a BeiDou terminal speaks (beidou-bds3).
	Profile string `yaml:"profile"`
	// Channel is the mesh's, 0 to 7.
	Channel int `yaml:"channel"`
	// Own is the hub's name on this link as stations write it: its card, node or
	// number (sbd: its IMEI). It is sealed with what goes out.
	Own string `yaml:"own"`
	// Transmit lets it send; without it the hub listens alone.
	Transmit *Transmit `yaml:"transmit"`
}

// Transmit is what the law asks for before a terminal sends.
type Transmit struct {
	// Licence, Band (such as CN) and Power (dBm) are a mesh's; Licence also sbd's.
	Licence string `yaml:"licence"`
	Band    string `yaml:"band"`
	Power   int    `yaml:"power"`
	// Card is the registered card (BeiDou, Tiantong: IMSI) or modem (sbd: IMEI),
	// Approval the terminal's type approval.
	Card     string `yaml:"card"`
	Approval string `yaml:"approval"`
}

// Warnings says by what the desk condenses warnings to 78 bytes.
type Warnings struct {
	// Trust is a file as the stations' alerts.trust: the issuers, with their keys,
	// numbers and regions.
	Trust string `yaml:"trust"`
	// Tables is a directory with alerts/compact.yaml and the like, where the county
	// has its own; it must be what the stations have.
	Tables string `yaml:"tables"`

	// Store is whom Trust names, Book what is said; nil without Trust. Tables are
	// always there.
	Store *trust.Store    `yaml:"-"`
	Book  *compact.Tables `yaml:"-"`
	CAP   *alert.Tables   `yaml:"-"`
}

// Talk says whose keys sign when an officer speaks by the page.
type Talk struct {
	// Keys are files of private keys that the stations trust for scope talk, and had better trust
	// for nothing else: one, or one for each person where two must release it. None: officers
	// speak by no page, only by hubd talk with a key at hand.
	Keys []string `yaml:"keys"`
}

// Page is the county's console.
type Page struct {
	Listen string `yaml:"listen"`
	TLS    *TLS   `yaml:"tls"`
	// Names are by what browsers call the hub beside its address and what its certificate says: those of a
	// reverse proxy.
	Names []string `yaml:"names"`
	// Officers and Send are of files from before there were accounts: they open nothing, and the check says so.
	Officers []map[string]any `yaml:"officers"`
	Send     []string         `yaml:"send"`
}

// Station is one box that the hub knows.
type Station struct {
	Name phrase.Text `yaml:"name"`
	// NKey is its public key (U…), or Token the bcrypt digest of its token: by
	// one of them it signs on over NATS.
	NKey  string `yaml:"nkey"`
	Token string `yaml:"token"`
	// PSK is a file with its datagrams' root key, 64 hexadecimal digits.
	PSK string `yaml:"psk"`
	// Also are further division codes that it warns.
	Also []string `yaml:"also"`
	// Number is its own of the county, 1 to 65535: receipts name it by that.
	Number int `yaml:"number"`
	// Root is a file with the root of its keys (firmware/reach/wire), 64 hexadecimal
	// digits; it may be the same as PSK's.
	Root string `yaml:"root"`
	// Epoch is that of the keys in use, as in its county: epoch (1); those beside it are tried too.
	Epoch int `yaml:"epoch"`
	// Box is the id of the key with which it signs, as its page shows it; without
	// one what it signed is shown as not verified.
	Box string `yaml:"box"`
	// Addresses are its names on the hub's terminals: card, node, number.
	Addresses map[string]string `yaml:"addresses"`

	// Key is what PSK held; nil without.
	Key *letter.Key `yaml:"-"`
	// Keys are made of Root; nil without.
	Keys []*wire.Keys `yaml:"-"`
}
