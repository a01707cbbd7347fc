// Command hubd is the county's end of the links: it keeps what stations send,
// gives them receipts, and hands down what an authority has signed.
//
// One YAML file says where it listens and whom it knows (hubfile). Letters are kept
// by NATS JetStream, embedded or a cluster's (engine), entered in a ledger and given
// receipts (post), brought by NATS or by gateways for other links (gateway), condensed for narrow ones (issue), and
// opened and joined (logbook) and shown by a console in the browser (console), whose people
// have accounts as a station's do (firmware/serve/access). Live pictures come from stations
// that are asked for them, and go to officers (pictures), where nothing else passes by a
// relay (relay). It verifies no alert of an
// authority: that is each station's, which believes nobody else.
//
//	hubd check hub.yaml
//	hubd run -c hub.yaml
//	hubd set-up                             the secret by which the console's first account is made
//	hubd key [--psk]                        credentials for a station
//	hubd token                              a token and its digest
//	hubd release add FILE.tocsin -c hub.yaml   software for stations; release offer NUMBER --to STATION
//	hubd alert send FILE.xml --to AREA      to every station of a division code
//	  --issuer-key FILE                     and in 78 bytes by narrow links
package main
