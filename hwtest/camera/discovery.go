package camera

import (
	"fmt"
	"net"
	"regexp"
)

var messageID = regexp.MustCompile(`MessageID[^>]*>([^<]{1,200})<`)

// Discover answers probes that come to a packet connection, until Close. answer, where
// it is set, makes the answer in place of a true one.
func (c *Camera) Discover(pc net.PacketConn, answer func(id string) []byte) {
	c.stops = append(c.stops, func() { pc.Close() })
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			m := messageID.FindSubmatch(b[:n])
			if m == nil {
				continue
			}
			a := c.match(string(m[1]))
			if answer != nil {
				a = answer(string(m[1]))
			}
			pc.WriteTo(a, from)
		}
	}()
}

// match is a ProbeMatches message (WS-Discovery 2005/04, 5.3).
func (c *Camera) match(id string) []byte {
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><SOAP-ENV:Header><wsa:MessageID>urn:uuid:1</wsa:MessageID><wsa:RelatesTo>%s</wsa:RelatesTo><wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</wsa:Action></SOAP-ENV:Header><SOAP-ENV:Body><d:ProbeMatches><d:ProbeMatch><wsa:EndpointReference><wsa:Address>urn:uuid:c1c1c1c1-0000-4000-8000-000000000007</wsa:Address></wsa:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/name/Bench%%20C1 onvif://www.onvif.org/hardware/C1</d:Scopes><d:XAddrs>%s</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>`, id, c.Service())
}
