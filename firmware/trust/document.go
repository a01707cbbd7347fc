package trust

import (
	"tocsin/firmware/phrase"
)

// Document is the trust section of a site's file. Times are RFC 3339, or a date
// alone, which is the whole of that day in Zone.
type Document struct {
	// Zone is the time zone of dates (default Asia/Shanghai).
	Zone string `yaml:"zone,omitempty" json:"zone,omitempty"`
	// RSABits is the least size of an RSA key (default 2048, which is also the
	// least that may be set).
	RSABits int `yaml:"rsa_bits,omitempty" json:"rsa_bits,omitempty"`
	// SM2 says how SM2 is written in XML signatures; nobody has standardised it.
	SM2 SM2Scheme `yaml:"sm2,omitempty" json:"sm2,omitempty"`
	// Issuers are whom this site believes, by name.
	Issuers map[string]IssuerDocument `yaml:"issuers,omitempty" json:"issuers,omitempty"`
	// Lists are revocation lists (RFC 5280, 5) of the authorities.
	Lists []PEMDocument `yaml:"revocation_lists,omitempty" json:"revocation_lists,omitempty"`
	// Revoked are keys that are no longer believed, authorities' keys included.
	Revoked []RevokedDocument `yaml:"revoked,omitempty" json:"revoked,omitempty"`
}

// SM2Scheme is how SM2 and SM3 are named and written in XML signatures. The W3C
// and RFC 9231 have no names for them; the defaults are recalled from the
// field, not read in a standard, and a county's own go here.
type SM2Scheme struct {
	// Signatures are the URIs of SignatureMethod that mean SM2 with SM3.
	Signatures []string `yaml:"signature_uris,omitempty" json:"signature_uris,omitempty"`
	// Digests are the URIs of DigestMethod that mean SM3.
	Digests []string `yaml:"digest_uris,omitempty" json:"digest_uris,omitempty"`
	// DER tells that SignatureValue holds the ASN.1 form of GM/T 0009 instead of r‖s.
	DER bool `yaml:"der,omitempty" json:"der,omitempty"`
}

// The names of SM2 and SM3 that are used where a site gives no others. [recalled]
const (
	SM2SignatureURI = "http://www.w3.org/2001/04/xmldsig-more#sm2-sm3"
	SM3DigestURI    = "http://www.w3.org/2001/04/xmldsig-more#sm3"
)

// OrDefault fills in the recalled names.
func (s SM2Scheme) OrDefault() SM2Scheme {
	if len(s.Signatures) == 0 {
		s.Signatures = []string{SM2SignatureURI}
	}
	if len(s.Digests) == 0 {
		s.Digests = []string{SM3DigestURI}
	}
	return s
}

// IssuerDocument is one issuer.
type IssuerDocument struct {
	Name        phrase.Text   `yaml:"name,omitempty" json:"name"`
	Senders     []string      `yaml:"senders,omitempty" json:"senders,omitempty"`
	Keys        []PEMDocument `yaml:"keys,omitempty" json:"keys,omitempty"`
	Authorities []PEMDocument `yaml:"authorities,omitempty" json:"authorities,omitempty"`
	Subjects    []string      `yaml:"subjects,omitempty" json:"subjects,omitempty"`
	Lenient     bool          `yaml:"lenient,omitempty" json:"lenient,omitempty"`
	SHA1        bool          `yaml:"sha1,omitempty" json:"sha1,omitempty"`
	SM2UserID   string        `yaml:"sm2_user_id,omitempty" json:"sm2_user_id,omitempty"`
	Grant       GrantDocument `yaml:"grant,omitempty" json:"grant"`
	// Compact lets it sign compact warnings (decide/alert/compact) by its Ed25519 keys.
	Compact *CompactDocument `yaml:"compact,omitempty" json:"compact,omitempty"`
}

// CompactDocument is what an issuer is in the 78 bytes of a compact warning.
type CompactDocument struct {
	// Number is 1 to 255, its own among the site's issuers and the same at every station of the region.
	Number int `yaml:"number" json:"number"`
	// Region is the division code (GB/T 2260) of 2, 4 or 6 digits that its areas are relative to. It is signed with.
	Region string `yaml:"region" json:"region"`
	// Sender is the value of CAP's sender under which its compact warnings stand; it may be left out where the first of senders is no
	// pattern.
	Sender string `yaml:"sender,omitempty" json:"sender,omitempty"`
}

// PEMDocument is one PEM block, inline or in a file beside the site's file. From,
// Until and Person are read for keys only.
type PEMDocument struct {
	PEM   string `yaml:"pem,omitempty" json:"pem,omitempty"`
	File  string `yaml:"file,omitempty" json:"file,omitempty"`
	From  string `yaml:"from,omitempty" json:"from,omitempty"`
	Until string `yaml:"until,omitempty" json:"until,omitempty"`
	// Person is whose key it is: where orders need two persons, two keys of one
	// person count once.
	Person string `yaml:"person,omitempty" json:"person,omitempty"`
}

// RevokedDocument takes a key's trust away.
type RevokedDocument struct {
	// Key is the key's id, as `edged` shows it.
	Key string `yaml:"key" json:"key"`
	// Since is when; what was signed before stays valid.
	Since string `yaml:"since" json:"since"`
	// Compromised tells that somebody else may have had the key: then nothing that it ever
	// signed is valid, since its thief may write any time.
	Compromised bool `yaml:"compromised,omitempty" json:"compromised,omitempty"`
}

// GrantDocument is a Grant.
type GrantDocument struct {
	Kinds     []string       `yaml:"kinds,omitempty" json:"kinds,omitempty"`
	MostLevel string         `yaml:"most_level,omitempty" json:"most_level,omitempty"`
	Colours   []string       `yaml:"colours,omitempty" json:"colours,omitempty"`
	Areas     []string       `yaml:"areas,omitempty" json:"areas,omitempty"`
	Scopes    []string       `yaml:"scopes,omitempty" json:"scopes,omitempty"`
	Persons   map[string]int `yaml:"persons,omitempty" json:"persons,omitempty"`
	Amends    []string       `yaml:"amends,omitempty" json:"amends,omitempty"`
}

// Fault is one thing wrong in a Document: where, as keys of mappings and indices of
// lists below the document, and what.
type Fault struct {
	Path    []any
	Message phrase.Message
	// Warning does not stop the document from being used.
	Warning bool
}
