package config

// Power says where this site's supply is measured, and what it is made of where nothing measures it. A key
// that is not written is found by the role that a device's profile gives its points.
type Power struct {
	// Battery is the point of the battery's voltage, Mains a contact that is on while mains is there, MainsLost one
	// (or a time) that is not 0 while it is not.
	Battery   string `yaml:"battery"`
	Mains     string `yaml:"mains"`
	MainsLost string `yaml:"mains_lost"`
	// Charge is the point of what is left, in percent; Runtime the supply's own forecast, in seconds.
	Charge  string `yaml:"charge"`
	Runtime string `yaml:"runtime"`
	// Load is the point of what is drawn (W), or of the current out of the battery (A).
	Load string `yaml:"load"`
	// Solar is the point of what the panel gives (W), or of its current into the battery (A); Failing a contact that is on while the supply itself says
	// that it is about to go off.
	Solar   string `yaml:"solar"`
	Failing string `yaml:"failing"`
	// Chemistry is a battery's row in power.yaml, Blocks how many of its blocks (12 V) are in a row.
	Chemistry string `yaml:"chemistry"`
	Blocks    int    `yaml:"blocks"`
	// Reserve is for how long of full sounding energy is kept.
	Reserve Span `yaml:"reserve"`
	// Capacity is what the battery held when it was new, in watt-hours; Usable how much of that may be
	// drawn, in percent.
	Capacity float64 `yaml:"capacity_wh"`
	Usable   float64 `yaml:"usable"`
	// Draw is what the site draws, in watts, where no point measures it.
	Draw float64 `yaml:"load_w"`
}

// Board says where the board's surroundings are measured. A key that is not written is found by a point's role.
type Board struct {
	// Cabinet is the point of the temperature inside of the box.
	Cabinet string `yaml:"cabinet"`
}
