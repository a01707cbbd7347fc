package station

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/video/ladder"
	"tocsin/firmware/video/terms"
)

// clipKey is where the journal's state keeps what was written of a clip: a restart of the box or of its child
// writes nothing twice and leaves nothing out.
const clipKey = "video/clip/"

// What was written of a clip.
const (
	clipFinished  = "finished"
	clipDelivered = "delivered"
	clipRefused   = "refused"
)

// Bring is what the county asks for over its link: the clips that alarms keep.
func (p *pictures) Bring(ctx context.Context, b letter.Bring) error {
	p.mu.Lock()
	site := p.site
	p.mu.Unlock()
	if site == nil || site.Record == nil {
		return phrase.E("station.video_no_clips")
	}
	bp := p.h.seen().bp
	rules, err := ladder.LoadRules(bp.FS)
	if err != nil {
		return err
	}
	rate := rules.Clips.Other
	if bp.Rows != nil && bp.Rows.Links[b.Link].Free {
		rate = rules.Clips.Free
	}
	if rate == 0 {
		return phrase.E("station.video_dear", "link", b.Link)
	}
	return p.ask(ctx, http.MethodPost, "/bring", terms.Bring{URL: b.URL, Token: b.Token, CA: p.authority(b.Link), For: letter.TokenFor, Rate: int64(rate) / 8}, nil)
}

// authority is the PEM of who vouches for the county on a link; empty is the system's.
func (p *pictures) authority(link string) string {
	bp := p.h.seen().bp
	if l, ok := bp.Doc.Site.Links[link]; ok && l.CA != "" {
		if ca, err := readCA(beside(bp.Doc.File, l.CA)); err == nil {
			return string(ca)
		}
	}
	return ""
}

// keepClips writes what has become of clips, and gives the mark that is known now. The child tells by a mark that
// something has changed.
func (p *pictures) keepClips(ctx context.Context, s terms.State, known uint64) uint64 {
	if s.Clips == 0 || s.Clips == known {
		return known
	}
	select {
	case <-p.h.journal.Loaded():
	default:
		return known // what was written before is not known yet
	}
	var all []terms.Clip
	if p.ask(ctx, http.MethodGet, "/clips", nil, &all) != nil {
		return known
	}
	p.clips.Store(&all)
	there := map[string]bool{}
	for _, c := range all {
		there[clipKey+c.ID] = true
		if c.Finished {
			p.keepClip(c)
		}
	}
	for _, key := range p.h.journal.Keys(clipKey) {
		if was, _ := p.h.journal.Get(key); !there[key] {
			id := key[len(clipKey):]
			m := phrase.M("station.video_clip_gone", "clip", id)
			if string(was) == clipFinished {
				m = phrase.M("station.video_clip_lost", "clip", id)
			}
			p.h.write(p.clipRecord("video.clip_gone", "", m, map[string]any{"clip": id}), map[string][]byte{key: nil})
		}
	}
	return s.Clips
}

// keepClip writes a clip's hash when it is finished, and that the county has named the same.
func (p *pictures) keepClip(c terms.Clip) {
	key := clipKey + c.ID
	was, _ := p.h.journal.Get(key)
	body := map[string]any{"cause": c.Cause, "stream": c.Stream, "clip": c.ID, "sha256": c.SHA256, "bytes": c.Size}
	if was == nil {
		p.h.write(p.clipRecord("video.clip", c.Cause, phrase.M("station.video_clip", "clip", c.ID, "stream", c.Stream, "size", c.Size, "gap", c.Gap.Round(time.Second), "sha256", c.SHA256), body),
			map[string][]byte{key: []byte(clipFinished)})
		was = []byte(clipFinished)
	}
	switch {
	case string(was) != clipFinished:
	case c.Delivered:
		p.h.write(p.clipRecord("video.clip_delivered", c.Cause, phrase.M("station.video_clip_delivered", "clip", c.ID, "stream", c.Stream, "sha256", c.SHA256), body), map[string][]byte{key: []byte(clipDelivered)})
	case c.Refused:
		p.h.write(p.clipRecord("video.clip_refused", c.Cause, phrase.M("station.video_clip_refused", "clip", c.ID, "stream", c.Stream), body), map[string][]byte{key: []byte(clipRefused)})
	}
}

func (p *pictures) clipRecord(kind, cause string, m phrase.Message, body map[string]any) journal.Record {
	r := journal.Record{Kind: kind, Cause: cause, Message: m, At: p.h.clock.Now()}
	r.Body, _ = json.Marshal(body) // plain words always marshal
	return r
}

// shownClips are a stream's clips, the newest first.
func (p *pictures) shownClips(name string) []terms.Clip {
	out := []terms.Clip{}
	if all := p.clips.Load(); all != nil {
		for _, c := range slices.Backward(*all) {
			if c.Stream == name {
				out = append(out, c)
			}
		}
	}
	return out
}
