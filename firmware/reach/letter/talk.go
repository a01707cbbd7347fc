package letter

// TalkDown is where the county speaks to a station, TalkUp where the station answers. What
// passes there is sealed between the talker and the box (reach/talk), and kept by nobody.
func (s Station) TalkDown() string { return "talk." + s.place() + ".down" }

// TalkUp is where a station answers a talker.
func (s Station) TalkUp() string { return "talk." + s.place() + ".up" }

// TalkMost bounds one message of a talk: an order with its signatures.
const TalkMost = 64 << 10
