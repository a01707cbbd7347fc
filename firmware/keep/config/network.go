package config

// Network is what one of the board's interfaces shall be.
type Network struct {
	// DHCP asks for an address; else Address is it, with its prefix.
	DHCP    bool     `yaml:"dhcp"`
	Address string   `yaml:"address"`
	Gateway string   `yaml:"gateway"`
	DNS     []string `yaml:"dns"`
	// VLAN makes the interface one of another's: eth0.7 with vlan: 7.
	VLAN int `yaml:"vlan"`
	// WiFi is a network that it joins.
	WiFi *WiFi `yaml:"wifi"`
}

// WiFi is a network that an interface joins.
type WiFi struct {
	SSID string `yaml:"ssid"`
	// Key is the file of its pass phrase, beside the site's file and readable by its owner alone.
	Key string `yaml:"key"`
}
