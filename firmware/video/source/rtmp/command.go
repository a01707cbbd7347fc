package rtmp

import (
	"encoding/binary"
	"errors"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

// mostStreams is how many streams a connection may create; encoders create one.
const mostStreams = 8

// command obeys a command (7.2).
func (e *session) command(m message) error {
	b := m.body
	if m.kind == kindCommandAMF3 && len(b) > 0 {
		b = b[1:] // AMF 0 behind a byte that says so
	}
	v, err := decodeAMF(b)
	if len(v) < 2 {
		if err == nil {
			err = errAMFShort
		}
		return err
	}
	name, _ := v[0].(string)
	id, _ := v[1].(float64)
	arg := func(i int) string {
		if len(v) <= i {
			return ""
		}
		s, _ := v[i].(string)
		return s
	}
	if name == "connect" {
		var o object
		if len(v) > 2 {
			o, _ = v[2].(object)
		}
		return e.connect(id, o)
	}
	if !e.connected {
		return errOrder
	}
	switch name {
	case "releaseStream":
		return e.reply("_result", id, nil, nil)
	case "FCPublish":
		return e.reply("onFCPublish", 0, nil, statusOf("NetStream.Publish.Start", "status", arg(3)))
	case "createStream":
		if e.streams >= mostStreams {
			return errOrder
		}
		e.streams++
		return e.reply("_result", id, nil, e.streams)
	case "publish":
		return e.publish(arg(3))
	case "FCUnpublish", "deleteStream", "closeStream":
		if e.feed != nil {
			e.unpublish(nil)
			e.knock() // it may publish again, but not stay for ever
		}
		if name == "FCUnpublish" {
			return e.reply("onFCUnpublish", 0, nil, statusOf("NetStream.Unpublish.Success", "status", arg(3)))
		}
		return nil
	case "play", "play2":
		e.status("NetStream.Play.Failed", "error", said(phrase.E("rtmp.play")))
		return errTold
	case "_result", "_error", "onStatus":
		return nil
	}
	if id > 0 {
		return e.reply("_error", id, nil, statusOf("NetConnection.Call.Failed", "error", printable([]byte(name[:min(len(name), 64)]))))
	}
	return nil
}

// connect answers the first command (7.2.1.1), with what the enhanced protocol wants told.
func (e *session) connect(id float64, o object) error {
	if e.connected {
		return errOrder
	}
	e.app, e.url = o.text("app"), o.text("tcUrl")
	if len(e.app)+len(e.url) > pathBytes {
		return errOrder
	}
	e.connected = true
	b := appendMessage(nil, 2, message{kind: kindWindow, body: binary.BigEndian.AppendUint32(nil, window)}, e.chunkOut)
	b = appendMessage(b, 2, message{kind: kindPeerBandwidth, body: append(binary.BigEndian.AppendUint32(nil, window), 2)}, e.chunkOut)
	b = appendMessage(b, 2, message{kind: kindSetChunkSize, body: binary.BigEndian.AppendUint32(nil, chunkOurs)}, e.chunkOut)
	e.chunkOut = chunkOurs
	about := object{{"fmsVer", "FMS/3,0,1,123"}, {"capabilities", 31}, {"mode", 1}}
	if o.value("fourCcList") != nil || o.value("videoFourCcInfoMap") != nil || o.value("capsEx") != nil {
		// Only who speaks the enhanced protocol is answered in it: older clients end on a list.
		// 4 says that we hand on what we get ("FourCcInfoMask").
		about = append(about,
			field{"fourCcList", []any{"avc1", "hvc1", "Opus"}},
			field{"videoFourCcInfoMap", object{{"avc1", 4}, {"hvc1", 4}}},
			field{"audioFourCcInfoMap", object{{"Opus", 4}}},
			field{"capsEx", 0})
	}
	status := append(statusOf("NetConnection.Connect.Success", "status", "connected"), field{"objectEncoding", 0})
	b = appendMessage(b, 3, message{kind: kindCommand, body: appendAMF(nil, "_result", id, about, status)}, e.chunkOut)
	_, err := deadlined{e}.Write(b)
	return err
}

// publish asks the desk (7.2.2.6).
func (e *session) publish(arg string) error {
	if e.feed != nil || e.streams == 0 {
		return errOrder
	}
	name, key, err := address(e.app, e.url, arg)
	if err != nil {
		return e.refuse(err)
	}
	if !e.s.admit() {
		return e.refuse(phrase.E("rtmp.full", "most", e.s.o.Publishers))
	}
	asker := source.Asker{Way: "rtmp", Stream: name, Key: key, Remote: e.remote}
	w, err := e.s.o.Desk.Publish(asker)
	if errors.Is(err, stream.ErrTaken) {
		if e.s.takeOver(name) {
			w, err = e.s.o.Desk.Publish(asker)
		} else {
			err = phrase.E("rtmp.taken", "stream", name)
		}
	}
	if err != nil {
		e.s.dismiss()
		return e.refuse(err)
	}
	e.pass.Leave()
	e.name, e.over = name, make(chan struct{})
	e.heard.Store(time.Now().UnixMilli())
	e.s.begin(e)
	e.feed = &feed{w: w, log: e.log.With("stream", name)}
	e.chunks.most = e.s.o.Message
	e.alive()
	e.log.Info("rtmp: publishing", "stream", name)
	begin := binary.BigEndian.AppendUint32([]byte{0, streamBegin}, uint32(e.streams))
	if err := e.send(2, message{kind: kindUserControl, body: begin}); err != nil {
		return err
	}
	return e.status("NetStream.Publish.Start", "status", name)
}

// refuse says why nothing is published.
func (e *session) refuse(err error) error {
	e.log.Debug("rtmp: refused", "why", err)
	e.status("NetStream.Publish.BadName", "error", said(err))
	return errTold
}

// unpublish ends publishing, if there was any.
func (e *session) unpublish(why error) {
	if e.feed == nil {
		return
	}
	e.feed.w.Close(why)
	e.feed = nil
	e.chunks.most = e.s.o.Stranger
	e.s.dismiss()
	e.s.cease(e)
	e.log.Info("rtmp: publishing ended", "stream", e.name, "why", why)
}

func statusOf(code, level, description string) object {
	return object{{"level", level}, {"code", code}, {"description", description}}
}

// status tells of the stream (7.2.2).
func (e *session) status(code, level, description string) error {
	return e.send(5, message{kind: kindCommand, stream: uint32(e.streams),
		body: appendAMF(nil, "onStatus", 0, nil, statusOf(code, level, description))})
}

func (e *session) reply(name string, id float64, values ...any) error {
	return e.send(3, message{kind: kindCommand, body: appendAMF(nil, append([]any{name, id}, values...)...)})
}
