(function () {
  "use strict";
  var d = document, box = d.getElementById("speak");
  if (!box) return;
  box.hidden = false;
  var b = d.getElementById("talk"), s = d.getElementById("ts"), vu = d.getElementById("vu"), name = d.getElementById("name");
  var C = window.AudioContext || window.webkitAudioContext, md = navigator.mediaDevices, ctx, keep, down = false, busy = false, got = [], n = 0, timer;
  function say(k) { s.textContent = box.getAttribute("data-" + k) || k; }
  if (!C || !md || !md.getUserMedia) { b.disabled = true; say("no"); return; }
  function hear(ev) {
    var x = ev.inputBuffer.getChannelData(0), top = 0;
    for (var i = 0; i < x.length; i++) top = Math.max(top, Math.abs(x[i]));
    vu.value = down ? top : 0;
    if (down) { got.push(new Float32Array(x)); n += x.length; }
  }
  // A WAV file of 16-bit samples, every other one of fast microphones left to an average.
  function wav() {
    var by = ctx.sampleRate >= 32000 ? 2 : 1, len = Math.floor(n / by), v = new DataView(new ArrayBuffer(44 + 2 * len)), rate = Math.round(ctx.sampleRate / by), at = 0, sum = 0, k = 0;
    function text(o, t) { for (var i = 0; i < t.length; i++) v.setUint8(o + i, t.charCodeAt(i)); }
    text(0, "RIFF"); v.setUint32(4, 36 + 2 * len, true); text(8, "WAVEfmt ");
    v.setUint32(16, 16, true); v.setUint16(20, 1, true); v.setUint16(22, 1, true);
    v.setUint32(24, rate, true); v.setUint32(28, 2 * rate, true); v.setUint16(32, 2, true); v.setUint16(34, 16, true);
    text(36, "data"); v.setUint32(40, 2 * len, true);
    got.forEach(function (x) {
      for (var i = 0; i < x.length; i++) {
        sum += x[i];
        if (++k < by) continue;
        if (at < len) v.setInt16(44 + 2 * at++, Math.max(-32768, Math.min(32767, Math.round(sum / by * 32767))), true);
        sum = k = 0;
      }
    });
    return v.buffer;
  }
  function send() {
    var f = new FormData(), r = new XMLHttpRequest();
    busy = true; say("wait");
    f.append("name", name.value); f.append("file", new Blob([wav()], { type: "audio/wav" }), "page.wav");
    r.open("POST", "/cadre/record?lang=" + d.documentElement.lang.slice(0, 2));
    r.onloadend = function () {
      busy = false;
      if (r.status === 200) return location.replace(r.responseURL || location.href);
      var a = r.status && new DOMParser().parseFromString(r.responseText, "text/html").querySelector("[role=alert]");
      say(a ? a.textContent : "lost");
    };
    r.send(f);
  }
  function press(ev) {
    if (ev.cancelable) ev.preventDefault();
    if (down || busy) return;
    if (!name.value.trim()) { say("name"); name.focus(); return; }
    down = true;
    if (ctx) { if (ctx.resume) ctx.resume(); return begin(); }
    say("get");
    md.getUserMedia({ audio: true }).then(function (m) {
      ctx = new C();
      keep = [m, ctx.createMediaStreamSource(m), ctx.createScriptProcessor(4096, 1, 1)];
      keep[2].onaudioprocess = hear;
      keep[1].connect(keep[2]);
      keep[2].connect(ctx.destination);
      if (down) begin(); else say("again");
    }, function () { down = false; say("no"); });
  }
  function begin() {
    got = []; n = 0; b.className = "talk on"; say("now");
    timer = setTimeout(lift, 1000 * b.value);
  }
  function lift() {
    if (!down) return;
    down = false; clearTimeout(timer); vu.value = 0;
    if (b.className === "talk") return;
    b.className = "talk";
    if (n) send(); else say("again");
  }
  b.addEventListener("mousedown", press);
  b.addEventListener("touchstart", press);
  ["mouseup", "touchend", "touchcancel", "blur", "pagehide"].forEach(function (e) { window.addEventListener(e, lift); });
  b.addEventListener("contextmenu", function (e) { e.preventDefault(); });
  b.addEventListener("keydown", function (e) { if (e.keyCode === 32) press(e); });
  d.addEventListener("keyup", function (e) { if (e.keyCode === 32) lift(); });
})();
