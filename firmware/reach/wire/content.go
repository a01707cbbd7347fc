package wire

// ExtensionReceipts is an envelope's extension with a packet of receipts. An Ack in CAP
// (TypeCAP) is for people; the extension tells the same stage to machines.
const ExtensionReceipts = uint8(ItemReceipts)

// DictionaryContent is the JSON of TypeDictionary: what the numbers of telemetry blocks are.
type DictionaryContent struct {
	// Number is Dictionary.ID, 0 to 7; Step the minutes between rows.
	Number   int              `json:"number"`
	Step     int              `json:"step"`
	Channels []ChannelContent `json:"channels"`
}

// ChannelContent is one channel: a value is a whole number of Resolution in Unit.
type ChannelContent struct {
	Point      string  `json:"point"`
	Unit       string  `json:"unit"`
	Resolution float64 `json:"resolution"`
	ZH         string  `json:"zh"`
	EN         string  `json:"en"`
}

// StateContent is the JSON of TypeState: how a box does.
type StateContent struct {
	Version string `json:"version"`
	// Started is when the daemon began, in seconds since 1970; 0 unknown.
	Started int64 `json:"started"`
	Ready   bool  `json:"ready"`
	// Blind names the hazards without any good gauge.
	Blind  []string       `json:"blind,omitempty"`
	Faults []FaultContent `json:"faults"`
	Links  []LinkContent  `json:"links"`
}

// FaultContent is one thing that is wrong, in words for people.
type FaultContent struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// LinkContent is one way to the county as the box sees it. State is up, suspect, down or
// quiet.
type LinkContent struct {
	Name  string `json:"name"`
	State string `json:"state"`
}
