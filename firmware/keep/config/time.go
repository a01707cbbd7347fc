package config

// Time says which sources of time this site has beside the receivers on its lines and links. How they are
// weighed is time.yaml.
type Time struct {
	// NTP are time servers, host or host:port. Three or more outvote one that is wrong.
	NTP []string `yaml:"ntp"`
	// PPS is the kernel's device of a receiver's pulse: /dev/pps0.
	PPS string `yaml:"pps"`
	// RTC is the kernel's device of a clock chip: /dev/rtc0. One on a bare I²C bus is a device.
	RTC string `yaml:"rtc"`
	// Set lets the box set the kernel's clock. Not beside chrony, ntpd or systemd-timesyncd.
	Set bool `yaml:"set"`
}
