(function () {
  "use strict";
  var d = document, lang = d.documentElement.lang.slice(0, 2), now = d.getElementById("now"), box = d.getElementById("speak");
  function ask(method, url, body, type, f) {
    var r = new XMLHttpRequest();
    r.open(method, url);
    r.timeout = 5000;
    if (type) r.setRequestHeader("Content-Type", type);
    r.onloadend = function () { f(r); };
    r.send(body);
  }
  function look() {
    ask("GET", "/cadre/now?lang=" + lang, null, "", function (r) {
      if (r.status === 200) now.innerHTML = r.responseText;
      else if (!r.status && box) now.textContent = box.getAttribute("data-lost");
      setTimeout(look, 1500);
    });
  }
  if (now) setTimeout(look, 1500);
  if (!box) return;
  box.hidden = false;
  var b = d.getElementById("talk"), s = d.getElementById("ts"), vu = d.getElementById("vu");
  var C = window.AudioContext || window.webkitAudioContext, md = navigator.mediaDevices, ctx, keep;
  var down = false, open = false, busy = false, id = "", buf = [], acc = 0, n = 0, pos = 0;
  function say(k) { s.textContent = box.getAttribute("data-" + k) || k; }
  if (!C || !md || !md.getUserMedia) { b.disabled = true; say("no"); return; }
  // G.711 A-law of a 16-bit sample.
  function law(p) {
    var sign = 128, e = 7, k = 16384;
    if (p < 0) { p = -p - 1; sign = 0; }
    for (; e > 0 && !(p & k); k >>= 1) e--;
    return (sign | e << 4 | p >> (e ? e + 3 : 4) & 15) ^ 85;
  }
  function hear(ev) {
    var x = ev.inputBuffer.getChannelData(0), step = ctx.sampleRate / 8000, top = 0;
    for (var i = 0; i < x.length; i++) {
      top = Math.max(top, Math.abs(x[i]));
      acc += x[i]; n++;
      if (++pos >= step) {
        pos -= step;
        if (down) buf.push(law(Math.max(-32768, Math.min(32767, Math.round(acc / n * 32767)))));
        acc = n = 0;
      }
    }
    vu.value = down ? top : 0;
    pump();
  }
  function fail(r) {
    var p = {};
    try { p = JSON.parse(r.responseText); } catch (e) { p = {}; }
    over(r.status ? p[lang] || String(r.status) : "lost");
  }
  function over(k) {
    down = open = busy = false; id = ""; buf = [];
    b.className = "talk"; say(k);
  }
  function pump() {
    if (!id || busy || down && buf.length < 800) return;
    if (!buf.length) {
      var was = id; id = "";
      ask("POST", "/api/v1/talk/" + was + "/end", "{}", "application/json", function (r) { if (r.status !== 200) fail(r); else over("off"); });
      return;
    }
    busy = true;
    ask("POST", "/api/v1/talk/" + id + "/voice", new Uint8Array(buf.splice(0, buf.length)), "application/octet-stream", function (r) {
      busy = false;
      if (r.status !== 200) return fail(r);
      var t = JSON.parse(r.responseText);
      if (t.state === "ended") over(t.why ? t.why[lang] : "off");
      else pump();
    });
  }
  function begin(again) {
    open = true; buf = []; b.className = "talk on"; say("wait");
    ask("POST", "/api/v1/talk", JSON.stringify({ seconds: +b.value || 180, codec: "pcma" }), "application/json", function (r) {
      // What was said before is heard out first.
      if (r.status === 409 && down && again < 6) return setTimeout(begin, 250, again + 1);
      if (r.status !== 200) return fail(r);
      id = JSON.parse(r.responseText).id;
      say("now"); pump();
    });
  }
  function press(ev) {
    if (ev.cancelable) ev.preventDefault();
    if (down || open) return;
    down = true;
    if (ctx) { if (ctx.resume) ctx.resume(); return begin(0); }
    say("get");
    md.getUserMedia({ audio: { echoCancellation: false } }).then(function (m) {
      ctx = new C();
      // Held here: what nobody refers to, browsers collect while it runs.
      keep = [m, ctx.createMediaStreamSource(m), ctx.createScriptProcessor(1024, 1, 1)];
      keep[2].onaudioprocess = hear;
      keep[1].connect(keep[2]);
      keep[2].connect(ctx.destination);
      if (down) begin(0); else say("again");
    }, function () { over("no"); });
  }
  function lift() {
    if (!down) return;
    down = false; vu.value = 0; b.className = "talk";
  }
  b.addEventListener("mousedown", press);
  b.addEventListener("touchstart", press);
  ["mouseup", "touchend", "touchcancel", "blur", "pagehide"].forEach(function (e) { window.addEventListener(e, lift); });
  d.addEventListener("visibilitychange", lift);
  b.addEventListener("contextmenu", function (e) { e.preventDefault(); });
  d.addEventListener("keydown", function (e) { if (e.keyCode === 32 && (e.target === b || e.target === d.body)) press(e); });
  d.addEventListener("keyup", function (e) { if (e.keyCode === 32) lift(); });
})();
