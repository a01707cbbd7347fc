// Package ladder decides how much of a stream a link can bear. It holds no goroutine and
// no clock, sends nothing and decodes nothing: the link and the source are described to
// Step, and Step says what goes out.
//
// The rungs, best first: the main stream; the source's own lower one; without the pictures
// that no other needs; key pictures only, or every k-th; stills of 640×360; of 320×180 or
// 160×90; words; nothing. Below Lower a source that has a lower rung is asked for it.
//
// The budget is the least of what the courier allows, a share of the estimate of congestion
// control, and a multiple of what really arrived: the estimate grows without bound while
// little is sent. What arrived without any sign of congestion is borne, whatever the
// estimate says: it does not grow while nothing is sent.
//
// Down at once. A step down to video proves itself by padding, since nothing else goes until the next key
// picture, and that is big. Up only after a probe: padding up to what the better rung needs, at most
// twice what is borne now, held for a second. A probe or a step that failed makes the next
// wait 10 s, then 20 s, then 40 s: what a link bears no more is tried for a second in forty. One that holds
// what had failed forgets the failure.
//
// Where stills go alone, a second of padding on a link that does not bear it would hold up the next still, and the
// wait after it would hide that the link is back. There a train asks first: a few packets of padding at once, whose
// distance on arrival says what the thinnest piece of the way bears. Without one that speaks for it no probe is
// held; with one a probe does not wait, and grows while the link stays calm, to what the train told. A link on
// which that failed lets bursts through faster than it bears, and is tried as seldom as any.
//
// Where a link bears it, nobody waits for a new picture longer than Rules.Fresh.Gap: a rung is
// taken only where the wait for its next picture and the time that this picture takes fit in there, and
// stills go beside video until its first key picture can be there.
// The promise is kept on links that do not hold seconds of what was sent before: no sender takes that back.
// It needs key pictures two seconds apart, or a camera that makes stills itself.
// Where the link bears less, stills come seldom, the big ones again: what cannot be fresh shall show much.
//
// Sources: draft-ietf-rmcat-gcc-02 section 5 (estimate, application-limited senders),
// RFC 8836 (what a sender in real time owes others on the link).
package ladder
