package apitest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
)

// Bodies are right bodies of the operations that take one.
var Bodies = map[string]string{
	"stop": `{"who":"李雷"}`, "acknowledge": `{"who":"李雷"}`,
	"release": `{"who":"李雷","reason":"水退了"}`, "raise": `{"level":"prepare","who":"李雷","reason":"塘坝渗水"}`,
	"set":        `{"value":12.5,"unit":"%","who":"李雷"}`,
	"take-alert": `<alert/>`, "check-alert": `<alert/>`, "take-command": `{}`, "offer-document": `version: 1`,
	"say": `{"who":"李雷"}`, "arm-evacuation": `{"who":"李雷"}`, "evacuate": `{"who":"李雷","word":"ABC"}`, "open-test": `{"who":"李雷","outputs":["horn"],"clear":true}`,
	"hold-test": `{"beat":1}`, "end-test": `{}`, "maintain": `{"who":"李雷","why":"换继电器","minutes":30}`, "end-maintenance": `{"who":"李雷"}`, "restart": `{"who":"李雷"}`, "factory-reset": `{"who":"李雷","secret":"GOOD"}`,
	"talk": `{"who":"李雷","seconds":30,"codec":"pcma"}`, "speak": `voice`, "end-talk": `{}`,
	"check-config": `{"document":"version: 1"}`, "propose-config": `{"base":1,"document":"version: 1","who":"李雷","why":"新雨量计","session":"abc","within_ns":60000000000}`,
	"confirm-config": `{"who":"李雷","session":"abc"}`, "undo-config": `{"who":"李雷"}`,
	"stage-release": `release`, "activate-release": `{"who":"李雷"}`, "confirm-release": `{"who":"李雷"}`, "roll-back-release": `{"who":"李雷","reason":"x"}`,
	"propose-network": `{"who":"李雷","base":1,"interface":"eth0","address":"192.168.8.20/24","why":"换网段","session":"abcdefgh","within_ns":120000000000}`,
	"answer-step":     `{"who":"李雷","answers":{"ohms":"3.8"}}`, "measure-step": `{"who":"李雷","act":"look"}`, "settle-step": `{"who":"李雷","state":"passed"}`,
	"add-photo": `photo`, "drop-photo": `{}`, "commission-anew": `{"who":"李雷","reason":"换了箱子"}`,
	"add-user":    `{"account":"chen","name":"陈志强","role":"cadre","password":"稻田山路水车","who":"李雷"}`,
	"change-user": `{"role":"operator","who":"李雷"}`, "set-password": `{"password":"稻田山路水车","who":"李雷"}`,
	"remove-user": `{"who":"李雷"}`, "end-sign-in": `{"who":"李雷"}`, "open-setup": `{"who":"李雷"}`,
	"edit-config": `{"edits":[{"op":"set","path":"/plan","value":"x"}]}`, "diff-config": `{"from":1,"to":2}`, "seal-config": `{"passphrase":"稻田山路水车风铃竹影石桥","who":"李雷"}`, "import-config": `{"document":"version: 1","keep":["network"]}`,
	"test-device": `{"line":"west","profile":"generic-radar-level-rs485","unit":2,"who":"李雷"}`, "dry-run": `{"days":7}`,
	"scan": `{"line":"west","who":"李雷","units":[1,7],"sweep":true}`,
}

// Forms are right bodies of forms, by method and path.
var Forms = map[string]string{
	"POST /cadre/stop": "token=WRONG", "POST /cadre/say": "message=river&key=k", "POST /cadre/arm": "level=evacuate", "POST /cadre/evacuate": "word=WORD23",
	"POST /cadre/record": "file=x", "POST /cadre/record/use": "id=rec-1", "POST /cadre/record/drop": "id=rec-1", "POST /cadre/record/stop": "token=WRONG",
	"POST /rescue/stop": "token=WRONG", "POST /rescue/back": "base=3", "POST /rescue/restart": "lang=zh", "POST /rescue/reset": "secret=WRONG", "POST /rescue/update": "file=x", "POST /rescue/activate": "lang=zh",
	"POST /stop": "token=WRONG", "POST /sign-in": "account=chen&password=wrong", "POST /setup": "secret=x", "POST /account": "old=x", "POST /sign-out": "lang=zh",
}

// Unheld tries every way in as every role, and gives those that are not held to the role
// that they declare, declare none, or cannot be tried because nobody wrote a body for them.
func Unheld(box *Box, s *api.Server) []string {
	var out []string
	for _, x := range s.Routes() {
		if why := unheld(box, s.Handler(), x); why != "" {
			out = append(out, strings.TrimSpace(x.Method+" "+x.Path)+": "+why)
		}
	}
	return out
}

// places fill what is left open in a path.
var places = strings.NewReplacer("{id}", "a-1", "{number}", "1", "{$}", "", "{name}", "a-1", "{path...}", "a")

func unheld(box *Box, h http.Handler, x api.Route) string {
	method := x.Method
	if method == "" {
		method = http.MethodGet
	}
	read := method == http.MethodGet || method == http.MethodHead
	body, kind := Bodies[x.ID], "application/json"
	if x.ID == "" {
		body, kind = Forms[method+" "+x.Path], "application/x-www-form-urlencoded"
	}
	switch {
	case x.Role == access.Nobody && !x.Open:
		return "declares no role"
	case !read && body == "":
		return "nobody wrote a body to try it with"
	case !read && x.Role < access.Cadre && !x.Open:
		return "changes something and asks for " + x.Role.String() + " only"
	}
	for _, role := range access.Roles {
		rd := strings.NewReader(body)
		if read {
			rd = strings.NewReader("")
		}
		r := httptest.NewRequest(method, "http://192.168.1.5"+places.Replace(x.Path), rd)
		if !read {
			r.Header.Set("Content-Type", kind)
		}
		// Streams, which would go on, end with their context.
		ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
		before := len(box.Acts())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(api.WithGrant(ctx, access.Grant{Role: role, Via: api.ViaPage, Addr: "192.168.1.77"})))
		cancel()
		may := x.Open || role.Allows(x.Role)
		refused := w.Code == http.StatusForbidden || w.Code == http.StatusUnauthorized && !x.Open
		if may == refused || may && w.Code >= 500 {
			return fmt.Sprintf("as %s: %d", role, w.Code)
		}
		if acted := len(box.Acts()) > before; acted && (!may || read || role < access.Cadre) {
			return fmt.Sprintf("as %s: the box acted", role)
		}
	}
	return ""
}
