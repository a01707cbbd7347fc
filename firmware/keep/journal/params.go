package journal

import (
	"encoding/json"
	"fmt"

	"tocsin/firmware/phrase"
)

// Parameters of a message may themselves be messages, texts or errors, which
// render in the reader's language. Plain JSON would forget which; so they are
// written under a name that no parameter has.
const (
	messageMark = "$message"
	textMark    = "$text"
	maxNesting  = 8
)

// freeze makes parameters fit for JSON without changing how they render.
func freeze(params map[string]any, depth int) map[string]any {
	out := make(map[string]any, len(params))
	for k, v := range params {
		out[cut(k)] = freezeOne(v, depth)
	}
	return out
}

func freezeOne(v any, depth int) any {
	if depth > maxNesting {
		return "…"
	}
	switch v := v.(type) {
	case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return v
	case float64:
		if v-v != 0 { // infinite or no number: JSON has neither
			return fmt.Sprint(v)
		}
		return v
	case string:
		return cut(v)
	case phrase.Message:
		return map[string]any{messageMark: map[string]any{"code": v.Code, "params": freeze(v.Params, depth+1)}}
	case phrase.Text:
		return map[string]any{textMark: v}
	case *phrase.Error:
		return map[string]any{textMark: phrase.Text{ZH: phrase.In(v, phrase.ZH), EN: phrase.In(v, phrase.EN)}}
	case error:
		return map[string]any{textMark: phrase.Text{ZH: phrase.In(v, phrase.ZH), EN: phrase.In(v, phrase.EN)}}
	}
	return cut(fmt.Sprint(v))
}

// thaw reads what freeze wrote.
func thaw(b []byte) map[string]any {
	if len(b) == 0 {
		return nil
	}
	var m map[string]any
	if json.Unmarshal(b, &m) != nil {
		return nil
	}
	return thawMap(m, 0)
}

func thawMap(m map[string]any, depth int) map[string]any {
	for k, v := range m {
		in, ok := v.(map[string]any)
		if !ok || len(in) != 1 || depth > maxNesting {
			continue
		}
		if t, ok := in[textMark].(map[string]any); ok {
			zh, _ := t["zh"].(string)
			en, _ := t["en"].(string)
			m[k] = phrase.Text{ZH: zh, EN: en}
		}
		if t, ok := in[messageMark].(map[string]any); ok {
			code, _ := t["code"].(string)
			p, _ := t["params"].(map[string]any)
			m[k] = phrase.Message{Code: code, Params: thawMap(p, depth+1)}
		}
	}
	return m
}
