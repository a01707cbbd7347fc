package config

// County is who hears from this box, and by which secret both know each other.
type County struct {
	// Suffix tells several boxes of one place apart: 2 makes it 330483105203-2.
	Suffix string `yaml:"suffix"`
	// Number is this box's own in the county's table: receipts are told by it.
	Number int `yaml:"number"`
	// Root is a file with the secret that box and county share, 64 hexadecimal digits.
	Root string `yaml:"root"`
	// Epoch is which keys of that secret are in use (1); those of the one before and after are
	// taken, too.
	Epoch int `yaml:"epoch"`
	// Telemetry is how often readings are told, whole minutes; telemetry.yaml says it
	// otherwise.
	Telemetry Span `yaml:"telemetry"`
}

// Link is a way between this box and its county: IP, or a terminal that carries short
// messages. Its name is a row of links.yaml where it sends.
type Link struct {
	// Kind: nats, datagrams; beidou, meshtastic, sbd, modem.
	Kind string `yaml:"kind"`
	// Servers are the county's hub, host:port. Datagrams have one.
	Servers []string `yaml:"servers"`
	// CA is a PEM file that alone vouches for the hub; Certificate and CertificateKey
	// are the box's own, where the hub asks for one.
	CA             string `yaml:"ca"`
	Certificate    string `yaml:"certificate"`
	CertificateKey string `yaml:"certificate_key"`
	// Seed is a file with the box's NKey seed, Token one with its token.
	Seed  string `yaml:"seed"`
	Token string `yaml:"token"`
	// PSK is a file with the key of its datagrams, 64 hexadecimal digits.
	PSK string `yaml:"psk"`
	// Device is the network interface by which alone it leaves.
	Device string `yaml:"device"`
	// Port and Baud are a terminal's.
	Port string `yaml:"port"`
	Baud int    `yaml:"baud"`
	// Profile is how a BeiDou terminal speaks, beidou-bds2 or beidou-bds3, or how a
	// modem calls, modem-sim7600 or modem-ec20, or a file of the site's own in
	// terminals/.
	Profile string `yaml:"profile"`
	// Sound is a modem's second port, over which the sound of calls runs.
	Sound string `yaml:"sound"`
	// Channel is the mesh's.
	Channel int `yaml:"channel"`
	// To is the county's card, node or number on this link, Self the box's own as the
	// county sees it.
	To   string `yaml:"to"`
	Self string `yaml:"self"`
	// Transmit is what the law asks of whoever transmits. Without it a terminal only
	// listens.
	Transmit *Transmit `yaml:"transmit"`
	// Every is how often a satellite modem asks for messages that no ring announced.
	Every Span `yaml:"every"`
	// Budget is yuan a month, in place of what links.yaml says.
	Budget *float64 `yaml:"budget"`
	// Issuers are who may come by this link; none: any of the site's.
	Issuers []string `yaml:"issuers"`
}

// Transmit is the approval by which a terminal transmits, as its papers have it.
type Transmit struct {
	// Licence is what the radio authority gave, Band the mesh's, such as CN, Power the
	// most that was licensed, dBm, and Airtime the longest transmission.
	Licence string `yaml:"licence"`
	Band    string `yaml:"band"`
	Power   int    `yaml:"power"`
	Airtime Span   `yaml:"airtime"`
	// Card is the registered card, or a modem's registered number; Approval the
	// terminal's type approval.
	Card     string `yaml:"card"`
	Approval string `yaml:"approval"`
	// Satellite says that a modem is a satellite telephone.
	Satellite bool `yaml:"satellite"`
}
