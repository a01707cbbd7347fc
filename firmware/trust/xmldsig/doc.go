// Package xmldsig reads bounded XML and verifies and makes enveloped XML
// signatures on it.
//
// What is verified is what is parsed: a Signature that holds gives the canonical
// bytes that its digest covers, and those, never the input, are what a caller reads
// afterwards. There is one reading of a document: our own tokenizer, stricter than
// XML 1.0, makes the tree; no second parser looks at the raw bytes.
//
// It takes a narrow part of the standard and refuses the rest by name: one Reference to
// the whole document, the enveloped transform and one canonicalisation, a
// Signature that is a direct child of the root. It never says whom to trust;
// a key that came along proves that the mathematics is right, and no more.
//
// Sources: XML 1.0 (fifth edition), Namespaces in XML 1.0, XML Signature 1.1,
// Canonical XML 1.0 and 1.1, Exclusive XML Canonicalization 1.0, RFC 9231
// (algorithm names), RFC 4050 and XML Signature 6.4.3 (ECDSA values are r‖s).
package xmldsig
