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
	Update *UpdateContent `json:"update,omitempty"`
}

// UpdateContent is how a box's software stands.
type UpdateContent struct {
	// Number is the running release's, Slot where it lies: A, B or "".
	Number uint64 `json:"number,omitempty"`
	Slot   string `json:"slot,omitempty"`
	// Phase is idle, staged or trial; Next is what is staged.
	Phase      string `json:"phase,omitempty"`
	Next       string `json:"next,omitempty"`
	NextNumber uint64 `json:"next_number,omitempty"`
	// Outcome is what became of the last release, by its code, and At when, in seconds since
	// 1970. The words say it.
	Outcome       string `json:"outcome,omitempty"`
	OutcomeOf     string `json:"outcome_of,omitempty"`
	OutcomeNumber uint64 `json:"outcome_number,omitempty"`
	At            int64  `json:"at,omitempty"`
	ZH            string `json:"zh,omitempty"`
	EN            string `json:"en,omitempty"`
	// Order is the county's last one to activate a release.
	Order *OrderContent `json:"order,omitempty"`
}

// OrderContent is an order to activate a release, and what became of it. State is waits, done or
// declined; Code is why, as the words have it.
type OrderContent struct {
	Number uint64 `json:"number"`
	By     string `json:"by"`
	State  string `json:"state"`
	// At is when the order came or ended, Until when it ends at the latest, in seconds since 1970.
	At    int64  `json:"at,omitempty"`
	Until int64  `json:"until,omitempty"`
	Code  string `json:"code,omitempty"`
	ZH    string `json:"zh,omitempty"`
	EN    string `json:"en,omitempty"`
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
