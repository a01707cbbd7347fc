package compact

import (
	"fmt"
	"time"

	"tocsin/firmware/decide/alert"
)

// Likeness is what the compact form of an alert and the alert in full have in common: event, level and
// area as the form can say them; "" where it cannot. Two of one issuer that are alike while both hold are one warning
// that came in both its forms.
func (t *Tables) Likeness(a *alert.Alert, region string) string {
	if len(a.Infos) == 0 || a.MsgType != "Alert" && a.MsgType != "Update" {
		return ""
	}
	// Alike is what is said, not when it was issued or how it is called.
	same := *a
	same.MsgType = "Alert"
	in := a.Info("zh-CN")
	at := in.Effective
	if in.Onset.After(at) {
		at = in.Onset
	}
	if at.IsZero() {
		at = a.Sent
	}
	w, _, err := t.Condense(&same, Issue{Issuer: 1, Region: region, At: at.Truncate(time.Minute)})
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%+v", w.Type, w.Event, w.Severity, w.Area)
}
