package page

import (
	"net/http"

	"tocsin/firmware/phrase"
)

// Camera is one stream of live pictures as the page names it; how it does is asked by
// the page's script at /api/v1/video.
type Camera struct {
	Name  string
	Title phrase.Text
}

type camera struct{ Name, Title string }

// filled are the words of the script with places for its numbers.
var filled = []phrase.Message{
	phrase.M("serve.video_silent", "n", "{n}"), phrase.M("serve.video_behind", "n", "{n}"), phrase.M("serve.video_again", "n", "{n}"),
	phrase.M("serve.video_push", "rung", "{rung}", "kbps", "{kbps}"), phrase.M("serve.video_push_waits", "rung", "{rung}"),
	phrase.M("serve.video_watch", "who", "{who}"), phrase.M("serve.video_recording", "mb", "{mb}", "clips", "{clips}"),
	phrase.M("serve.video_platform", "name", "{name}", "is", "{is}"), phrase.M("serve.video_platform_answered", "n", "{n}"), phrase.M("serve.video_platform_shown", "what", "{what}"),
	phrase.M("serve.video_record_waits", "mb", "{mb}"), phrase.M("serve.video_record_lost", "n", "{n}"),
	phrase.M("serve.video_open"), phrase.M("serve.video_close"), phrase.M("serve.video_sound_on"), phrase.M("serve.video_sound_off"),
	phrase.M("serve.video_away"), phrase.M("serve.video_live"), phrase.M("serve.video_nobody"), phrase.M("serve.video_connecting"),
	phrase.M("serve.video_now"), phrase.M("serve.video_failed"), phrase.M("serve.video_stills"), phrase.M("serve.video_no_still"),
	phrase.M("serve.video_clip", "at", "{at}", "title", "{title}", "n", "{n}", "mb", "{mb}"), phrase.M("serve.video_clips_none"), phrase.M("serve.video_play"),
	phrase.M("serve.video_searching"), phrase.M("serve.video_search_found", "n", "{n}", "networks", "{networks}"), phrase.M("serve.video_undated"), phrase.M("serve.video_not_played"), phrase.M("serve.video_push_none"), phrase.M("serve.video_watch_none"), phrase.M("serve.video_record_none"),
}

// cameras are those of the site, in the reader's language.
func (p *page) cameras(l phrase.Lang) []camera {
	if p.o.Cameras == nil {
		return nil
	}
	var out []camera
	for _, c := range p.o.Cameras() {
		out = append(out, camera{c.Name, orElse(c.Title.In(l), c.Name)})
	}
	return out
}

// watch shows live pictures.
func (p *page) watch(w http.ResponseWriter, r *http.Request) {
	v := p.plain(langOf(r))
	st := p.box.Status()
	v.Site, v.Version = orElse(st.Name.In(v.Lang), st.Site), st.Version
	v.Cameras, v.Search = p.cameras(v.Lang), p.o.Cameras != nil
	v.Headline = phrase.M("serve.video_title").In(v.Lang)
	v.Words = map[string]string{}
	for _, m := range filled {
		v.Words[m.Code[len("serve.video_"):]] = m.In(v.Lang)
	}
	p.write(w, http.StatusOK, "video", v)
}
