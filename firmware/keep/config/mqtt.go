package config

// MQTT is a third party's platform that is told, over MQTT 5, what is measured and what stands. Nothing
// comes in by it.
type MQTT struct {
	// Server is host:port of its broker.
	Server string `yaml:"server"`
	// CA is a PEM file that alone vouches for the broker; without it the system's authorities do.
	CA string `yaml:"ca"`
	// Plain speaks without TLS, in a network that is trusted.
	Plain bool `yaml:"plain"`
	// Certificate and CertificateKey are the box's own, where the broker asks for one.
	Certificate    string `yaml:"certificate"`
	CertificateKey string `yaml:"certificate_key"`
	// User is a name there, Password a file with its password.
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	// Prefix is what topics begin with (tocsin).
	Prefix string `yaml:"prefix"`
	// Every is how often readings are told (60s).
	Every Span `yaml:"every"`
	// Discovery is Home Assistant's prefix, homeassistant as a rule; none: no discovery.
	Discovery string `yaml:"discovery"`
	// Device is the network interface by which alone it leaves.
	Device string `yaml:"device"`
}
