// Package mqtt tells third parties' platforms what the box measures and what stands, over MQTT 5: a provincial platform,
// a village's own home automation. It is not the way to the county: nothing here is sealed end to end, nothing is kept over
// a power cut, and no alarm depends on it.
//
// It only speaks. It subscribes to nothing, what a broker sends all the same is read and dropped, and there is no
// topic by which anything sounds. A packet that is longer than a broker has reason to send ends the connection
// before it is read into memory.
//
// Offer never waits. A message of a topic replaces an unsent one of that topic: who comes late wants the
// newest. Those that are marked Urgent go first and in order. What the bounded queue cannot hold is dropped, the oldest that is not
// urgent first, and counted. A message leaves the queue when the broker has acknowledged it (QoS 1).
//
// The session at the broker is clean: what it forgot the retained messages tell it again, which are offered
// anew at each connection (Hello). The last will says "offline" on the status topic.
//
// # Topics
//
// All below PREFIX/STATION, the prefix "tocsin" unless told otherwise, the station its division code. All are retained, QoS 1,
// JSON in UTF-8 but for status. Times are RFC 3339; where clock is "free" they are not to be relied on.
//
//	status                   online or offline, as text
//	state                    {"version", "level", "level_name", "armed", "blind", "faults", "clock", "at"}
//	points/DEVICE/POINT      {"name", "value": number or null, "text", "unit", "quality", "at", "why"}
//	alarms/HAZARD            {"id", "hazard", "level", "level_name", "state", "blind", "raised", "changed", "because": [text]}
//
// quality is good, suspect, stale, … as on the page: a value that is not good is null, never a number that looks good.
// level is "" where none stands; state is raised, acknowledged, subsided, released or lapsed. Names are {"zh", "en"}.
//
// With discovery, Home Assistant finds each point by itself (HAPREFIX/sensor/…/config) and shows it as unavailable
// while the box is offline.
//
// Sources: OASIS MQTT 5.0 (3.1.2.5 will, 3.3.1.3 retain, 4.9 flow control); Home Assistant, MQTT discovery.
// The protocol is github.com/eclipse/paho.golang's, taken under the Eclipse Distribution License 1.0.
package mqtt
