package camera

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Base is the address of the camera's web side.
func (c *Camera) Base() string { return "http://" + c.http.Addr().String() }

// Service is the address of the device service, which discovery tells.
func (c *Camera) Service() string { return c.Base() + "/onvif/device_service" }

func (c *Camera) onvif() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /onvif/{service}", c.soap)
	m.HandleFunc("GET /snapshot/{profile}", func(w http.ResponseWriter, r *http.Request) {
		if !c.digest(w, r) {
			return
		}
		w.Header().Set("Content-Type", "image/jpeg")
		w.Write(c.o.JPEG)
	})
	return m
}

// envelope is what a request holds of what is asked here.
type envelope struct {
	Token struct {
		User     string `xml:"Username"`
		Password struct {
			Type  string `xml:"Type,attr"`
			Value string `xml:",chardata"`
		} `xml:"Password"`
		Nonce   string `xml:"Nonce"`
		Created string `xml:"Created"`
	} `xml:"Header>Security>UsernameToken"`
	Body struct {
		Inner []byte `xml:",innerxml"`
	} `xml:"Body"`
}

func (c *Camera) soap(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	var e envelope
	if xml.Unmarshal(b, &e) != nil {
		http.Error(w, "no XML", http.StatusBadRequest)
		return
	}
	op := ""
	if d := xml.NewDecoder(strings.NewReader(string(e.Body.Inner))); true {
		for op == "" {
			t, err := d.Token()
			if err != nil {
				break
			}
			if s, ok := t.(xml.StartElement); ok {
				op = s.Name.Local
			}
		}
	}
	if op != "GetSystemDateAndTime" && c.o.User != "" && !c.token(e) {
		w.Header().Set("Content-Type", "application/soap+xml")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:ter="http://www.onvif.org/ver10/error"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">Sender not authorized</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>`)
		return
	}
	profile := "main"
	if strings.Contains(string(e.Body.Inner), ">sub<") {
		profile = "sub"
	}
	var answer string
	switch op {
	case "GetSystemDateAndTime":
		t := time.Now().UTC()
		answer = fmt.Sprintf(`<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:UTCDateTime><tt:Time><tt:Hour>%d</tt:Hour><tt:Minute>%d</tt:Minute><tt:Second>%d</tt:Second></tt:Time><tt:Date><tt:Year>%d</tt:Year><tt:Month>%d</tt:Month><tt:Day>%d</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>`, t.Hour(), t.Minute(), t.Second(), t.Year(), t.Month(), t.Day())
	case "GetCapabilities":
		answer = `<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Media><tt:XAddr>` + c.Base() + `/onvif/media_service</tt:XAddr></tt:Media></tds:Capabilities></tds:GetCapabilitiesResponse>`
	case "GetDeviceInformation":
		answer = `<tds:GetDeviceInformationResponse><tds:Manufacturer>Bench</tds:Manufacturer><tds:Model>C1</tds:Model><tds:FirmwareVersion>1</tds:FirmwareVersion><tds:SerialNumber>7</tds:SerialNumber><tds:HardwareId>1</tds:HardwareId></tds:GetDeviceInformationResponse>`
	case "GetProfiles":
		one := func(token, name string, w, h int) string {
			return fmt.Sprintf(`<trt:Profiles token="%s" fixed="true"><tt:Name>%s</tt:Name><tt:VideoEncoderConfiguration token="v"><tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>%d</tt:Width><tt:Height>%d</tt:Height></tt:Resolution><tt:RateControl><tt:FrameRateLimit>25</tt:FrameRateLimit><tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>2048</tt:BitrateLimit></tt:RateControl></tt:VideoEncoderConfiguration></trt:Profiles>`, token, name, w, h)
		}
		answer = `<trt:GetProfilesResponse>` + one("sub", "subStream", 640, 360) + one("main", "mainStream", 1920, 1080) + `</trt:GetProfilesResponse>`
	case "GetStreamUri":
		answer = `<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>` + c.URL(profile) + `</tt:Uri></trt:MediaUri></trt:GetStreamUriResponse>`
	case "GetSnapshotUri":
		answer = `<trt:GetSnapshotUriResponse><trt:MediaUri><tt:Uri>` + c.Base() + `/snapshot/` + profile + `</tt:Uri></trt:MediaUri></trt:GetSnapshotUriResponse>`
	case "SetSynchronizationPoint":
		c.mu.Lock()
		c.asked++
		c.mu.Unlock()
		answer = `<trt:SetSynchronizationPointResponse/>`
	default:
		http.Error(w, "unknown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/soap+xml; charset=utf-8")
	fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body>`+answer+`</s:Body></s:Envelope>`)
}

// token checks a user token: SHA-1 of nonce, time and password, a nonce once, a time
// of the last minute.
func (c *Camera) token(e envelope) bool {
	t := e.Token
	nonce, err := base64.StdEncoding.DecodeString(strings.TrimSpace(t.Nonce))
	if err != nil || len(nonce) == 0 || t.User != c.o.User || !strings.HasSuffix(t.Password.Type, "#PasswordDigest") {
		return false
	}
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(t.Created))
	if err != nil || time.Since(at).Abs() > time.Minute {
		return false
	}
	h := sha1.Sum([]byte(string(nonce) + t.Created + c.o.Password))
	ok := t.Password.Value == base64.StdEncoding.EncodeToString(h[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	ok = ok && !c.nonces[string(nonce)]
	c.nonces[string(nonce)] = true
	c.tries++
	if !ok {
		c.refused++
	}
	return ok
}

// digest checks HTTP digest (RFC 7616, MD5, qop auth), and asks for it.
func (c *Camera) digest(w http.ResponseWriter, r *http.Request) bool {
	if c.o.User == "" {
		return true
	}
	kind, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	v := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		k, x, _ := strings.Cut(strings.TrimSpace(part), "=")
		v[k] = strings.Trim(x, `"`)
	}
	sum := func(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }
	want := sum(sum(c.o.User+":bench:"+c.o.Password) + ":n1:" + v["nc"] + ":" + v["cnonce"] + ":auth:" + sum(r.Method+":"+r.URL.RequestURI()))
	if kind == "Digest" && v["username"] == c.o.User && v["nonce"] == "n1" && v["qop"] == "auth" && v["uri"] == r.URL.RequestURI() && v["response"] == want {
		return true
	}
	w.Header().Set("WWW-Authenticate", `Digest realm="bench", nonce="n1", qop="auth", algorithm=MD5`)
	w.WriteHeader(http.StatusUnauthorized)
	return false
}
