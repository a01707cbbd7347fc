// Package modem is a telephone modem on a serial port, for 4G or for the Tiantong
// satellite: a drivers.Terminal for short messages.
//
// Text goes to people's telephones, in several parts where it is long. Bytes go as
// base64 in one text, which passes every network, or as 8-bit data (Opts.Data),
// which some networks drop. What comes as 8-bit data, or as a text that is nothing
// but base64 and longer than a word, is given as Bytes; the text is given with it,
// since a person may have written it. Who sent it is what the network says, and
// anybody can forge that: what came counts only by what it proves itself.
//
// Parts of long messages are put together, at most 16 messages at a time and each
// within ten minutes; what is not whole by then is dropped and counted.
//
// Calls are made where a profile (configs/terminals/modem-*.yaml) says how, and a
// second port takes the sound: a drivers.Caller. What becomes of a call is what the
// modem says by itself, held against its list of calls (+CLCC), since some modems
// say the end of a call that has not begun, and some networks the answer of one that
// only rings: nothing but a pressed key proves that somebody listens. Keys are told by
// the modem, or heard in the sound (ITU-T Q.23). Messages wait while a call is on. Calls
// that come are refused and counted.
//
// It transmits only where Opts.Transmit is set. For a satellite telephone the
// registered card and the terminal's approval are required too, and another card
// sends nothing.
//
// Sources: 3GPP TS 27.005 (AT commands for short messages), TS 27.007 (card,
// registration, signal, calls), TS 23.040 by package github.com/warthog618/sms; the
// makers' manuals that the profiles name.
package modem
