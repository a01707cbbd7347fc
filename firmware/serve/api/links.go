package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Links is how the ways to the county and what waits for them stand.
type Links struct {
	// County: somebody hears from this box. Kept: what waits outlives a power cut; Why says what is
	// wrong where it does not.
	County bool  `json:"county"`
	Kept   bool  `json:"kept"`
	Why    *Text `json:"why,omitempty"`
	// Waiting counts messages without a receipt, Bytes what they take.
	Waiting int           `json:"waiting"`
	Bytes   int           `json:"bytes"`
	Links   []Link        `json:"links"`
	Classes []OutboxClass `json:"classes"`
	// Receipts are the county's last, newest first.
	Receipts []CountyReceipt `json:"receipts"`
	// Channels of Points points are told as telemetry, NarrowChannels of them by short messages too.
	Channels       int `json:"channels"`
	NarrowChannels int `json:"narrow_channels"`
	Points         int `json:"points"`
	// Stray receipts were of nothing that waits, Unread messages had a past that nobody can read.
	Stray  int64 `json:"stray"`
	Unread int64 `json:"unread"`
}

// Link is one way to the county.
type Link struct {
	Name string `json:"name"`
	// NameText says it for people.
	NameText Text   `json:"name_text"`
	Kind     string `json:"kind,omitempty"`
	// State: off, down, suspect, returning, up; listening for a terminal that may not send.
	State     string `json:"state" enum:"off,down,suspect,returning,up,listening"`
	StateText Text   `json:"state_text"`
	Why       Text   `json:"why"`
	// For is how long it has been so; Quiet how long ago the county's last receipt came by it,
	// absent for never.
	For   time.Duration  `json:"for_ns"`
	Quiet *time.Duration `json:"quiet_ns,omitempty"`
	// Delivery is the share of messages that arrives and Latency how long a receipt takes, as measured so far or, before that, as
	// links.yaml has it.
	Delivery float64       `json:"delivery"`
	Latency  time.Duration `json:"latency_ns"`
	// Slot is how long until it takes the next message.
	Slot time.Duration `json:"slot_ns"`
	// Out counts what is under way without a receipt.
	Out int `json:"out"`
	// Balance of Full yuan may be spent now, of which Reserve is for warnings, commands and receipts; all 0 where it costs
	// nothing. Spent counts since the start.
	Balance float64 `json:"balance"`
	Full    float64 `json:"full"`
	Reserve float64 `json:"reserve"`
	Spent   float64 `json:"spent"`
	// Counters since the start.
	Parcels int64 `json:"parcels"`
	Bytes   int64 `json:"bytes"`
	Acked   int64 `json:"acked"`
	Lost    int64 `json:"lost"`
	Faults  int64 `json:"faults"`
	Probes  int64 `json:"probes"`
	Missed  int64 `json:"missed"`
}

// OutboxClass is how one class of messages stands.
type OutboxClass struct {
	Class     string `json:"class"`
	ClassText Text   `json:"class_text"`
	Waiting   int    `json:"waiting"`
	// Late of those that wait are past their time; Oldest is the age of the oldest.
	Late   int           `json:"late"`
	Oldest time.Duration `json:"oldest_ns"`
	// Since the start.
	Posted        int64 `json:"posted"`
	Delivered     int64 `json:"delivered"`
	DeliveredLate int64 `json:"delivered_late"`
	Replaced      int64 `json:"replaced"`
	Refused       int64 `json:"refused"`
	Dropped       int64 `json:"dropped"`
	Expired       int64 `json:"expired"`
}

// CountyReceipt is the county's word that it has a message.
type CountyReceipt struct {
	Message string `json:"message"`
	Class   string `json:"class"`
	// Cause is the alarm or warning that the message was about, What what it said.
	Cause string `json:"cause,omitempty"`
	What  Text   `json:"what"`
	// Link is by which the county had it first, After how long it took.
	Link     string        `json:"link"`
	LinkText Text          `json:"link_text"`
	After    time.Duration `json:"after_ns"`
	Late     bool          `json:"late"`
	At       time.Time     `json:"at"`
}

func (s *Server) registerLinks() {
	get(s, "/links", "links", "The ways to the county, what waits for them, and the county's last receipts", func() Links {
		x := s.box.Links()
		x.Links, x.Classes, x.Receipts = full(x.Links), full(x.Classes), full(x.Receipts)
		return x
	})
}

var (
	descLinkUp       = desc("link_up", "1 where the link to the county carries", "link")
	descLinkState    = desc("link_state", "1 for how the link stands", "link", "state")
	descLinkDelivery = desc("link_delivery_ratio", "share of messages that arrives, as measured", "link")
	descLinkLatency  = desc("link_latency_seconds", "how long the county's receipt takes, as measured", "link")
	descLinkQuiet    = desc("link_receipt_age_seconds", "how long ago the county's last receipt came by the link", "link")
	descLinkBalance  = desc("link_balance_yuan", "what the link may spend now", "link")
	descLinkBudget   = desc("link_balance_full_yuan", "the most that it may hold", "link")
	descLinkSpent    = desc("link_spent_yuan_total", "what the link has spent", "link")
	descLinkOut      = desc("link_out", "parcels under way without a receipt", "link")
	descLinkParcels  = desc("link_parcels_total", "parcels sent", "link")
	descLinkBytes    = desc("link_sent_bytes_total", "bytes sent, with what the link adds as links.yaml has it", "link")
	descLinkAcked    = desc("link_acknowledged_total", "parcels of which the county has a message", "link")
	descLinkLost     = desc("link_lost_total", "parcels without a receipt in time", "link")
	descLinkFaults   = desc("link_faults_total", "parcels that the link did not take", "link")
	descLinkProbes   = desc("link_probes_total", "probes by result", "link", "result")
	descOutbox       = desc("outbox_waiting", "messages without the county's receipt", "class")
	descOutboxLate   = desc("outbox_late", "those of them that are past their time", "class")
	descOutboxOldest = desc("outbox_oldest_seconds", "age of the oldest", "class")
	descOutboxKept   = desc("outbox_kept", "1 where what waits outlives a power cut")
	descOutboxBytes  = desc("outbox_bytes", "what all that waits takes")
	descOutboxEnds   = desc("outbox_messages_total", "messages by what became of them", "class", "end")
	linkDescs        = []*prometheus.Desc{descLinkUp, descLinkState, descLinkDelivery, descLinkLatency, descLinkQuiet, descLinkBalance, descLinkBudget, descLinkSpent, descLinkOut,
		descLinkParcels, descLinkBytes, descLinkAcked, descLinkLost, descLinkFaults, descLinkProbes, descOutbox, descOutboxLate, descOutboxOldest, descOutboxKept, descOutboxBytes, descOutboxEnds}
)

// links tells how the ways to the county stand.
func (c boxCollector) links(gauge, sum func(*prometheus.Desc, float64, ...string)) {
	x := c.box.Links()
	for _, l := range x.Links {
		gauge(descLinkState, 1, l.Name, l.State)
		if l.State == "listening" {
			continue // it never sends
		}
		gauge(descLinkUp, truth(l.State == "up"), l.Name)
		gauge(descLinkDelivery, l.Delivery, l.Name)
		gauge(descLinkLatency, l.Latency.Seconds(), l.Name)
		if l.Quiet != nil {
			gauge(descLinkQuiet, l.Quiet.Seconds(), l.Name)
		}
		if l.Full > 0 {
			gauge(descLinkBalance, l.Balance, l.Name)
			gauge(descLinkBudget, l.Full, l.Name)
			sum(descLinkSpent, max(0, l.Spent), l.Name)
		}
		gauge(descLinkOut, float64(l.Out), l.Name)
		for d, n := range map[*prometheus.Desc]int64{descLinkParcels: l.Parcels, descLinkBytes: l.Bytes, descLinkAcked: l.Acked, descLinkLost: l.Lost, descLinkFaults: l.Faults} {
			sum(d, float64(n), l.Name)
		}
		sum(descLinkProbes, float64(max(0, l.Probes-l.Missed)), l.Name, "answered")
		sum(descLinkProbes, float64(l.Missed), l.Name, "missed")
	}
	if !x.County {
		return
	}
	gauge(descOutboxKept, truth(x.Kept))
	gauge(descOutboxBytes, float64(x.Bytes))
	for _, k := range x.Classes {
		gauge(descOutbox, float64(k.Waiting), k.Class)
		gauge(descOutboxLate, float64(k.Late), k.Class)
		gauge(descOutboxOldest, k.Oldest.Seconds(), k.Class)
		for end, n := range map[string]int64{"posted": k.Posted, "delivered": k.Delivered, "replaced": k.Replaced, "refused": k.Refused, "dropped": k.Dropped, "expired": k.Expired} {
			sum(descOutboxEnds, float64(n), k.Class, end)
		}
	}
}
