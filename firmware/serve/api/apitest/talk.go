package apitest

import "tocsin/firmware/serve/api"

func (b *Box) talk(id, state string) api.Talk {
	return api.Talk{ID: id, Cause: "talk-" + id, Kind: "real", State: state, Opened: At, Outputs: []api.Text{{Code: "horn", ZH: "号角", EN: "horn"}}}
}

// OpenTalk remembers who speaks.
func (b *Box) OpenTalk(a api.TalkAsk, who api.Who, by api.Actor) (api.Talk, error) {
	return b.talk("t-1", "ready"), b.act(Act{What: "talk", ID: "t-1", Level: a.Level, Who: who, By: by})
}

// TalkState knows every talk.
func (b *Box) TalkState(id string) (api.Talk, error) { return b.talk(id, "speaking"), nil }

// Speak remembers how much was said.
func (b *Box) Speak(id string, v []byte, by api.Actor) (api.Talk, error) {
	return b.talk(id, "speaking"), b.act(Act{What: "speak", ID: id, Reason: string(v), By: by})
}

// EndTalk remembers that it ended.
func (b *Box) EndTalk(id string, by api.Actor) (api.Talk, error) {
	t := b.talk(id, "ended")
	t.PlayedMS, t.Sounded, t.Why = 300, []string{"horn"}, &api.Text{Code: "station.talk_done", ZH: "讲完了", EN: "the talker let go"}
	return t, b.act(Act{What: "end-talk", ID: id, By: by})
}
