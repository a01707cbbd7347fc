package talk

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// AnswerType is the payload type of an answer's envelope.
const AnswerType = "application/vnd.tocsin.talk-answer.v1+json"

// answerLimits bound an answer.
var answerLimits = trust.EnvelopeLimits{Bytes: 8 << 10, Signatures: 1}

// Answer is a box's answer to an order, field by field as it is signed.
type Answer struct {
	Version int    `json:"version"`
	Order   string `json:"order"`
	Box     string `json:"box"`
	// Open says that the box listens; Key is then its X25519 public key.
	Open bool   `json:"open"`
	Key  string `json:"key,omitempty"`
	// Signer is the box's public key, DER SubjectPublicKeyInfo.
	Signer  []byte      `json:"signer"`
	Outcome phrase.Text `json:"outcome"`
}

// Accept opens a session: the answer for the talker and the box's end of it.
func Accept(o Order, outcome phrase.Text, s trust.Signer) ([]byte, *Ear, error) {
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	return accept(o, outcome, s, own)
}

func accept(o Order, outcome phrase.Text, s trust.Signer, own *ecdh.PrivateKey) ([]byte, *Ear, error) {
	k, err := derive(o, own, o.Talker, own.PublicKey().Bytes())
	if err != nil {
		return nil, nil, err
	}
	b, err := sign(Answer{Open: true, Key: hex.EncodeToString(own.PublicKey().Bytes()), Outcome: outcome}, o, s)
	if err != nil {
		return nil, nil, err
	}
	return b, &Ear{keys: k}, nil
}

// Refuse answers that the box does not listen, and why.
func Refuse(o Order, why phrase.Text, s trust.Signer) ([]byte, error) {
	return sign(Answer{Outcome: why}, o, s)
}

func sign(a Answer, o Order, s trust.Signer) ([]byte, error) {
	der, err := trust.PublicDER(s.Public())
	if err != nil {
		return nil, err
	}
	a.Version, a.Order, a.Box, a.Signer = 1, hex.EncodeToString(o.Digest[:]), o.Box, der
	b, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	return trust.SealDSSE(AnswerType, b, s)
}

// OrderOf tells which order an answer is to, believing nothing.
func OrderOf(answer []byte) (string, bool) {
	e, err := trust.OpenDSSE(answer, AnswerType, answerLimits)
	if err != nil {
		return "", false
	}
	a, err := readAnswer(e.Payload)
	return a.Order, err == nil
}

// Join reads a box's answer and gives the talker's end of the session; nil where the
// box refuses. box is the key that the county has pinned for it. The error says what
// of the answer is not to be believed.
func Join(answer []byte, o Order, own *ecdh.PrivateKey, box trust.KeyID) (*Answer, *Mouth, error) {
	e, err := trust.OpenDSSE(answer, AnswerType, answerLimits)
	if err != nil {
		return nil, nil, phrase.Wrap(err, "talk.answer")
	}
	a, err := readAnswer(e.Payload)
	if err != nil {
		return nil, nil, err
	}
	pub, err := trust.ReadPublicDER(a.Signer)
	if err != nil {
		return nil, nil, phrase.Wrap(err, "talk.answer")
	}
	id, err := trust.IDOf(pub)
	if err != nil {
		return nil, nil, phrase.Wrap(err, "talk.answer")
	}
	if id != box {
		return nil, nil, phrase.E("talk.stranger", "key", string(id), "want", string(box))
	}
	if err := e.VerifyBy(pub); err != nil {
		return nil, nil, phrase.Wrap(err, "talk.answer")
	}
	if a.Order != hex.EncodeToString(o.Digest[:]) || a.Box != o.Box {
		return nil, nil, phrase.E("talk.other", "box", a.Box, "want", o.Box)
	}
	if !a.Open {
		return a, nil, nil
	}
	key, err := ReadKey(a.Key)
	if err != nil {
		return nil, nil, err
	}
	k, err := derive(o, own, key, key)
	if err != nil {
		return nil, nil, err
	}
	return a, &Mouth{keys: k}, nil
}

// readAnswer reads an answer; what it does not know is not passed over.
func readAnswer(b []byte) (*Answer, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var a Answer
	if err := d.Decode(&a); err != nil || d.More() {
		return &a, phrase.E("talk.answer")
	}
	if a.Version != 1 || len(a.Box) > 64 || len(a.Order) != 64 || a.Open != (a.Key != "") {
		return &a, phrase.E("talk.answer")
	}
	return &a, nil
}
