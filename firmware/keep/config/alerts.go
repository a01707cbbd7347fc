package config

import "tocsin/firmware/trust"

// Alerts says whose warnings and commands this site takes, and by which ways.
type Alerts struct {
	// Trust is whom the site believes; without an issuer every warning is shown and
	// none sounds.
	Trust trust.Document `yaml:"trust"`
	// Plan is what is done on a warning (county-warning).
	Plan string `yaml:"plan"`
	// Longest is how long a warning stands that does not say when it ends (24h).
	Longest Span `yaml:"longest"`
	// Early is how far ahead of a trusted clock a warning may have been sent (2m).
	Early Span `yaml:"early"`
	// Groups are names by which signed commands may address this box beside its
	// division code: a county, a valley.
	Groups []string `yaml:"groups"`
	// Also are further codes of this place in other tables: SAME=006037.
	Also []string `yaml:"also"`
	// Quiet is when notices are shown and not spoken. It never holds back a level.
	Quiet *Quiet `yaml:"quiet"`
	// Feeds are polled CAP feeds.
	Feeds map[string]Feed `yaml:"feeds"`
	// Folders are watched; Sticks are folders on removable media, which are only
	// read.
	Folders map[string]Folder `yaml:"folders"`
	Sticks  map[string]Folder `yaml:"sticks"`
}

// Quiet is a time of day, in the site's zone, from From to To: "22:00".
type Quiet struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// Feed is an Atom or RSS feed of CAP alerts.
type Feed struct {
	URL string `yaml:"url"`
	// Every is how often it is asked (60s).
	Every Span `yaml:"every"`
	// SilentAfter is how long it may be without a good answer before that is
	// called (10m).
	SilentAfter Span `yaml:"silent_after"`
	// CA is a PEM file of the authorities that may vouch for the server; without it
	// the system's.
	CA string `yaml:"ca"`
	// Issuers are who may come by this feed; none: any of the site's.
	Issuers []string `yaml:"issuers"`
	// Hosts are further hosts that its links may lead to.
	Hosts []string `yaml:"hosts"`
}

// Folder is a folder that signed files are put into.
type Folder struct {
	Path  string `yaml:"path"`
	Every Span   `yaml:"every"`
	// Issuers are who may come by this way; none: any of the site's.
	Issuers []string `yaml:"issuers"`
}
