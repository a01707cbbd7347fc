package config

// Link is a terminal that carries short messages: BeiDou, a LoRa mesh. In this version
// a box only listens: to warnings that their authority signed.
type Link struct {
	// Kind: beidou or meshtastic.
	Kind string `yaml:"kind"`
	Port string `yaml:"port"`
	Baud int    `yaml:"baud"`
	// Profile is how a BeiDou terminal speaks: beidou-bds2 or beidou-bds3, or a
	// file of the site's own in terminals/.
	Profile string `yaml:"profile"`
	// Channel is the mesh's.
	Channel int `yaml:"channel"`
	// Issuers are who may come by this link; none: any of the site's.
	Issuers []string `yaml:"issuers"`
}
