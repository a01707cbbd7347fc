package page

import (
	"net/http"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// Authority is who signed the page's certificate; *certificate.Authority is one.
type Authority interface {
	DER() []byte
	Fingerprint() string
}

// installing is what the page shows that helps a phone to trust the box.
type installing struct {
	Fingerprint string
	Ways        []installWay
}

type installWay struct {
	Name  string
	Steps []string
	Open  bool
}

const (
	certificatePath = "/certificate"
	caPath          = "/certificate/tocsin-ca.crt"
)

// certificateRoutes are open and answered without TLS: whoever comes here has no trust in
// the box yet. What proves the certificate is its fingerprint on the label.
func (p *page) certificateRoutes(r *api.Routes) {
	r.Open("GET "+certificatePath, true, p.install)
	r.Open("GET "+caPath, true, func(w http.ResponseWriter, q *http.Request) {
		if p.o.Authority == nil {
			p.write(w, http.StatusNotFound, "lost", p.plain(langOf(q)))
			return
		}
		w.Header().Set("Content-Type", "application/x-x509-ca-cert")
		w.Header().Set("Content-Disposition", `attachment; filename="tocsin-ca.crt"`)
		w.Write(p.o.Authority.DER())
	})
}

func (p *page) install(w http.ResponseWriter, r *http.Request) {
	if p.o.Authority == nil {
		p.write(w, http.StatusNotFound, "lost", p.plain(langOf(r)))
		return
	}
	v := p.plain(langOf(r))
	st := p.box.Status()
	v.Site, v.Version = orElse(st.Name.In(v.Lang), st.Site), st.Version
	v.Headline = phrase.M("certificate.title").In(v.Lang)
	v.Sign = &signing{TLS: true}
	v.Install = &installing{Fingerprint: p.o.Authority.Fingerprint()}
	agent := r.UserAgent()
	for _, x := range []struct {
		name, steps phrase.Message
		has         []string
	}{
		{phrase.M("certificate.harmony"), phrase.M("certificate.harmony_steps"), []string{"HarmonyOS", "OpenHarmony", "HUAWEI"}},
		{phrase.M("certificate.android"), phrase.M("certificate.android_steps"), []string{"Android"}},
		{phrase.M("certificate.ios"), phrase.M("certificate.ios_steps"), []string{"iPhone", "iPad"}},
		{phrase.M("certificate.windows"), phrase.M("certificate.windows_steps"), []string{"Windows"}},
	} {
		way := installWay{Name: x.name.In(v.Lang), Steps: strings.Split(x.steps.In(v.Lang), " | ")}
		for _, s := range x.has {
			if way.Open = strings.Contains(agent, s); way.Open {
				agent = "" // the first that fits: HarmonyOS calls itself Android, too
				break
			}
		}
		v.Install.Ways = append(v.Install.Ways, way)
	}
	p.write(w, http.StatusOK, "certificate", v)
}
