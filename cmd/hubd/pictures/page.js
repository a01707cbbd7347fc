"use strict";
// The officers' page: lists what the hub tells, shows up to nine pictures by WHEP, speaks by
// small pieces of A-law. All words come from the hub, in the reader's language.
(() => {
  const d = document.body.dataset, $ = id => document.getElementById(id);
  const make = (tag, text, cls) => { const e = document.createElement(tag); if (text) e.textContent = text; if (cls) e.className = cls; return e; };
  const open = new Map(); // "station/stream" to a picture that is shown
  const trouble = text => { $("trouble").textContent = text || ""; $("trouble").className = text ? "fault" : ""; };
  let state = null;

  const why = () => {
    const f = $("why"), v = f.value.trim();
    f.classList.toggle("missing", v.length < 2);
    if (v.length < 2) f.focus();
    return v.length < 2 ? "" : v;
  };

  // said gives the hub's words of why something was refused.
  const said = async r => {
    try { const [zh, en] = (await r.json()).title.split(" · "); return d.lang === "en" && en || zh; } catch { return r.status + ""; }
  };

  async function ice() {
    const r = await fetch("/pictures/ice");
    return r.ok ? r.json() : [];
  }

  function gathered(pc) {
    return new Promise(done => {
      if (pc.iceGatheringState === "complete") return done();
      const end = setTimeout(done, 2500); // a leg that does not answer must not hold up the others
      pc.addEventListener("icegatheringstatechange", () => { if (pc.iceGatheringState === "complete") { clearTimeout(end); done(); } });
    });
  }

  async function see(station, stream, again) {
    const key = station + "/" + stream, reason = again || why();
    if (!reason || open.has(key)) return;
    if (open.size >= +d.most) return trouble(d.many);
    trouble();
    const box = make("figure"), screen = make("div", "", "screen"), video = make("video"), over = make("span", d.asking, "over"), cap = make("figcaption"), text = make("span", key);
    video.muted = video.autoplay = video.playsInline = true;
    video.disablePictureInPicture = true; // a window of its own would have no mask
    const stop = make("button", d.stop), full = make("button", d.full);
    const v = { box, screen, video, over, text, why: reason, key };
    stop.onclick = () => end(key);
    full.onclick = () => screen.requestFullscreen(); // with the mask in it
    video.onloadedmetadata = video.onresize = () => { if (video.videoWidth) screen.style.aspectRatio = video.videoWidth + "/" + video.videoHeight; };
    screen.append(video, over);
    cap.append(text, full, stop);
    box.append(screen, cap);
    open.set(key, v);
    draw(v); // before any picture is
    $("grid").append(box);
    try {
      const pc = v.pc = new RTCPeerConnection({ iceServers: await ice(), bundlePolicy: "max-bundle" });
      pc.addTransceiver("video", { direction: "recvonly" });
      pc.addTransceiver("audio", { direction: "recvonly" });
      const media = new MediaStream();
      video.srcObject = media;
      pc.ontrack = e => { media.addTrack(e.track); video.play().catch(() => {}); };
      pc.onconnectionstatechange = () => {
        draw(v);
        if (pc.connectionState === "failed" || pc.connectionState === "closed") { over.textContent = d.broken; over.className = "over late"; retry(v); }
      };
      await pc.setLocalDescription();
      await gathered(pc);
      const r = await fetch("/pictures/whep/" + key + "?why=" + encodeURIComponent(reason), { method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp });
      if (r.status !== 201) {
        over.textContent = await said(r);
        over.className = "over late";
        if (r.status === 503) retry(v);
        return;
      }
      v.at = r.headers.get("Location");
      if (!open.has(key)) return end(key, v);
      await pc.setRemoteDescription({ type: "answer", sdp: await r.text() });
    } catch (e) {
      over.textContent = d.broken;
      over.className = "over late";
      retry(v);
    }
  }

  // A picture that broke off is asked for again while its box is open.
  function retry(v) {
    if (v.again || open.get(v.key) !== v) return;
    v.again = setTimeout(() => { if (open.get(v.key) === v) { end(v.key); see(...v.key.split("/"), v.why); } }, 5000);
  }

  function end(key, was) {
    const v = was || open.get(key);
    if (!v) return;
    clearTimeout(v.again);
    if (open.get(key) === v) open.delete(key);
    if (v.pc) v.pc.close();
    if (v.at) fetch(v.at, { method: "DELETE", keepalive: true }).catch(() => {});
    v.box.remove();
  }
  addEventListener("pagehide", () => [...open.keys()].forEach(k => end(k)));

  function find(key) {
    const [station, stream] = key.split("/");
    const s = state && state.stations.find(x => x.id === station);
    return [s, s && (s.streams || []).find(x => x.name === stream)];
  }

  // draw covers what is to be covered, and says how the picture does.
  function draw(v) {
    const [s, x] = find(v.key);
    if (!x) return;
    const want = JSON.stringify(x.mask || []);
    if (v.mask !== want) {
      v.screen.querySelectorAll(".mask").forEach(e => e.remove());
      for (const m of x.mask || []) {
        const e = make("div", "", "mask");
        for (const k of ["left", "top", "width", "height"]) e.style[k] = m[k] * 100 + "%";
        v.screen.insertBefore(e, v.over);
      }
      v.mask = want;
    }
    // Where the link bears no video, stills lie over it, under the mask.
    if (x.still && x.still !== v.shown) {
      if (!v.still) { v.still = make("img", "", "still"); v.still.alt = x.state; v.video.after(v.still); }
      v.still.src = "/pictures/still/" + v.key + "?n=" + (v.shown = x.still);
    }
    if (!x.still && v.still) { v.still.remove(); v.still = null; v.shown = 0; }
    v.text.textContent = [s.name, x.title, x.state, x.rung, x.who && d.viewers + x.who.join("、"), x.mask && d.masked].filter(Boolean).join(" · ");
    if (v.pc && v.pc.connectionState === "connected") {
      v.over.textContent = x.behind || x.state;
      v.over.className = x.late ? "over late" : "over";
    }
  }

  function list() {
    const all = state.stations.map(s => {
      const li = make("li", "", "station"), ul = make("ul");
      li.append(make("b", s.name), " ", make("small", s.id + " · " + s.told, s.old ? "fault" : ""), s.old ? make("small", " " + d.old) : "");
      if (s.clips) li.append(make("small", " " + s.clips));
      if (s.talk) li.append(" ", talkButton(s.id));
      for (const x of s.streams || []) {
        const row = make("li", "", "stream"), b = make("button", d.see);
        row.append(make("span", [x.title, x.state, x.rung, x.behind, x.who && d.viewers + x.who.join("、")].filter(Boolean).join(" · "), x.good ? "" : "fault"));
        b.disabled = !x.may || open.has(s.id + "/" + x.name);
        b.dataset.key = s.id + "/" + x.name;
        b.onclick = () => { see(s.id, x.name); list(); };
        row.append(b);
        ul.append(row);
      }
      li.append(ul);
      return li;
    });
    const focus = document.activeElement && document.activeElement.dataset.key;
    $("stations").replaceChildren(...(all.length ? all : [make("li", d.none)]));
    if (focus) { const b = document.querySelector(`[data-key="${CSS.escape(focus)}"]`); if (b) b.focus(); }
    if ($("clips") && $("clips").dataset.shown !== JSON.stringify(state.clips)) {
      $("clips").dataset.shown = JSON.stringify(state.clips);
      const rows = state.clips.map(c => {
        const tr = make("tr"), told = make("td", c.state, c.whole ? "" : "odd"), b = make("button", d.play), end = make("td");
        tr.dataset.clip = c.key;
        if (c.sum) { const s = make("small", "SHA-256 "); s.append(make("code", c.sum)); told.append(make("br"), s); }
        b.setAttribute("form", "play"); b.name = "clip"; b.value = c.key;
        b.disabled = !c.whole || !c.may;
        b.dataset.key = "clip/" + c.key;
        end.append(b);
        tr.append(make("td", c.at), make("td", c.where), make("td", c.what), make("td", c.much), told, end);
        return tr;
      });
      if (!rows.length) { const td = make("td", d.noclips), tr = make("tr"); td.colSpan = 6; tr.append(td); rows.push(tr); }
      $("clips").replaceChildren(...rows);
    }
    if ($("shelf") && state.shelf) $("shelf").textContent = state.shelf.text;
    $("seen").replaceChildren(...state.seen.map(e => {
      const tr = make("tr");
      tr.append(make("td", e.At), make("td", e.Who), make("td", e.What), make("td", e.Why), make("td", e.Until, e.Odd ? "odd" : ""));
      return tr;
    }));
    $("legs").replaceChildren(...state.legs.map(l => make("li", l.name + " · " + l.text, l.good ? "good" : "fault")));
    $("now").textContent = state.now;
    open.forEach(draw);
  }

  async function poll() {
    try {
      const r = await fetch("/pictures/state?lang=" + d.lang);
      if (!r.ok) throw 0;
      state = await r.json();
      if (!talking) list(); // a button that is held is not taken away
      if ($("trouble").textContent === d.lost) trouble();
    } catch { trouble(d.lost); }
    setTimeout(poll, 2000);
  }

  // Each leg by itself: what stands between this browser and the hub only the browser can tell.
  $("check").onclick = async () => {
    $("check").disabled = true;
    const [good, bad] = d.ways.split("|"), mine = $("mine");
    mine.replaceChildren();
    for (const s of await ice()) for (const url of s.urls) {
      const pc = new RTCPeerConnection({ iceServers: [{ ...s, urls: [url] }], iceTransportPolicy: "relay" });
      let got = false;
      pc.onicecandidate = e => { if (e.candidate && e.candidate.type === "relay") got = true; };
      pc.createDataChannel("x");
      await pc.setLocalDescription();
      await gathered(pc);
      pc.close();
      mine.append(make("li", url + " · " + (got ? good : bad), got ? "good" : "fault"));
    }
    $("check").disabled = false;
  };

  let talking = null;
  function talkButton(station) {
    const b = make("button", d.talk);
    b.dataset.key = "talk/" + station;
    const begin = async e => {
      e.preventDefault();
      const reason = why();
      if (!reason || talking) return;
      const t = talking = { on: true, button: b };
      b.className = "talking";
      try {
        t.mic = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true } });
        const r = await fetch("/pictures/talk/" + station + "?why=" + encodeURIComponent(reason), { method: "POST" });
        if (r.status !== 201) { trouble(await said(r)); return hush(t); }
        t.at = r.headers.get("Location");
        t.ctx = new AudioContext({ sampleRate: 8000 });
        await t.ctx.audioWorklet.addModule("/pictures/voice.js");
        const node = new AudioWorkletNode(t.ctx, "alaw");
        let last = Promise.resolve(); // in order
        node.port.onmessage = m => { last = last.then(() => t.on && fetch(t.at, { method: "POST", headers: { "Content-Type": "audio/PCMA" }, body: m.data }).then(async r => { if (!r.ok) { trouble(await said(r)); hush(t); } })).catch(() => hush(t)); };
        t.ctx.createMediaStreamSource(t.mic).connect(node);
        if (!t.on) hush(t);
      } catch { trouble(d.muted); hush(t); }
    };
    const stop = () => talking && talking.button === b && hush(talking);
    b.onpointerdown = begin;
    b.onpointerup = b.onpointercancel = b.onpointerleave = stop;
    b.onkeydown = e => { if ((e.key === " " || e.key === "Enter") && !e.repeat) begin(e); };
    b.onkeyup = stop;
    b.onblur = stop;
    return b;
  }
  function hush(t) {
    t.on = false;
    t.button.className = "";
    if (t.mic) t.mic.getTracks().forEach(x => x.stop());
    if (t.ctx && t.ctx.state !== "closed") t.ctx.close();
    if (t.at) { fetch(t.at, { method: "DELETE", keepalive: true }).catch(() => {}); t.at = null; }
    if (talking === t) talking = null;
  }

  poll();
})();
