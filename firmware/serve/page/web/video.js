// Shows live pictures by WHEP (RFC 9725's way round: an offer is posted, its answer
// names the session), and stills where that fails. Words come with the page.
"use strict";
(() => {
  const lang = document.documentElement.lang === "en" ? "en" : "zh", root = "/api/v1/video";
  const words = {};
  document.querySelectorAll("[data-word]").forEach(e => { words[e.dataset.word] = e.textContent; });
  const say = (word, values) => (words[word] || word).replace(/\{(\w+)\}/g, (all, k) => values && k in values ? values[k] : all);
  const text = t => t ? t[lang] || t.zh : "";
  // A refusal's first line is Chinese, its second English.
  const refusal = async r => { const [zh, en] = (await r.text()).split("\n"); return (lang === "en" && en || zh || "").trim() || String(r.status); };
  const set = (e, s) => { if (e.textContent !== s) e.textContent = s; e.hidden = !s; };
  const list = (e, rows) => {
    const want = rows.join("\n");
    if (e.dataset.shown === want) return;
    e.dataset.shown = want;
    e.replaceChildren(...rows.map(r => { const li = document.createElement("li"); li.textContent = r; return li; }));
  };
  document.documentElement.classList.add("scripted");

  class Film {
    constructor(card) {
      this.card = card;
      this.name = card.dataset.stream;
      this.url = root + "/" + encodeURIComponent(this.name);
      const is = n => card.querySelector(`[data-is="${n}"]`), act = n => card.querySelector(`[data-act="${n}"]`);
      this.state = is("state"); this.why = is("why"); this.figures = is("figures"); this.notes = is("notes"); this.told = is("told");
      this.kept = is("kept"); this.barred = is("barred"); this.clips = is("clips"); this.form = is("ask"); this.player = is("player"); this.unplayed = is("unplayed"); this.noted = is("noted");
      this.form.onsubmit = e => {
        e.preventDefault();
        const at = new Date(this.form.from.value), iso = t => new Date(t).toISOString().replace(/\.\d+Z$/, "Z");
        this.play({ from: iso(+at), to: iso(+at + this.form.minutes.value * 60000) });
      };
      this.kept.ontoggle = () => { if (!this.kept.open) this.unplay(); };
      this.screen = card.querySelector(".screen"); this.video = card.querySelector("video"); this.img = card.querySelector(".screen img"); this.over = card.querySelector(".over");
      this.button = act("open"); this.loud = act("sound"); this.full = act("full");
      this.isOpen = false; this.tries = 0; this.run = 0;
      this.video.muted = true;
      this.button.onclick = () => this.isOpen ? this.shut() : this.open();
      this.loud.onclick = () => { this.video.muted = !this.video.muted; this.loud.textContent = say(this.video.muted ? "sound_on" : "sound_off"); };
      this.full.onclick = () => this.screen.requestFullscreen().catch(() => {});
      this.full.can = !!this.screen.requestFullscreen;
      this.video.onresize = () => { if (this.video.videoWidth) this.screen.style.aspectRatio = this.video.videoWidth + "/" + this.video.videoHeight; };
    }

    open() {
      this.isOpen = true;
      this.tries = 0;
      this.draw();
      this.ask();
    }

    shut() {
      this.isOpen = false;
      this.end();
      this.still(false);
      set(this.why, "");
      this.draw();
    }

    draw() {
      this.screen.hidden = !this.isOpen;
      this.button.textContent = say(this.isOpen ? "close" : "open");
      this.button.setAttribute("aria-expanded", this.isOpen);
      this.full.hidden = !this.isOpen || !this.full.can;
      this.loud.hidden = !this.isOpen || !this.sound;
    }

    tell(s, late) {
      if (this.over.textContent !== s) this.over.textContent = s;
      this.over.classList.toggle("late", !!late);
    }

    // end leaves the session, at the box too; what still runs of it sees its run past.
    end() {
      this.run++;
      clearTimeout(this.timer);
      if (this.pc) this.pc.close();
      if (this.at) fetch(this.at, { method: "DELETE", keepalive: true }).catch(() => {});
      this.pc = this.at = this.frame = null;
      this.video.srcObject = null;
    }

    async ask() {
      this.end();
      const run = this.run, past = () => run !== this.run;
      if (!this.stills) this.tell(say("connecting"));
      let reason = "", again = true;
      try {
        const pc = this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
        pc.addTransceiver("video", { direction: "recvonly" });
        pc.addTransceiver("audio", { direction: "recvonly" });
        const media = new MediaStream();
        this.video.srcObject = media;
        pc.ontrack = e => {
          const r = e.receiver;
          try { if ("jitterBufferTarget" in r) r.jitterBufferTarget = 50; else r.playoutDelayHint = 0.05; } catch (err) { /* a hint only */ }
          media.addTrack(e.track);
          this.video.play().catch(() => {});
        };
        pc.onconnectionstatechange = () => {
          if (!past() && (pc.connectionState === "failed" || pc.connectionState === "disconnected")) this.again(say("failed"));
        };
        await pc.setLocalDescription();
        await new Promise(done => {
          if (pc.iceGatheringState === "complete") return done();
          setTimeout(done, 2000);
          pc.onicegatheringstatechange = () => { if (pc.iceGatheringState === "complete") done(); };
        });
        if (past()) return;
        const r = await fetch(this.url + "/whep", { method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp });
        if (r.status === 201) {
          const at = r.headers.get("Location");
          if (past()) { fetch(at, { method: "DELETE", keepalive: true }).catch(() => {}); return; }
          this.at = at;
          const sdp = await r.text();
          if (past()) return;
          await pc.setRemoteDescription({ type: "answer", sdp });
          this.since = performance.now();
          return this.look(run);
        }
        again = r.status === 404 || r.status >= 500; // else it would be refused again
        reason = await refusal(r);
      } catch (e) { reason = say("failed"); }
      if (!past()) this.again(reason, !again);
    }

    // again shows why, goes on with stills, and asks anew later and later.
    again(reason, never) {
      this.end();
      set(this.why, reason);
      this.still(true);
      if (never) return this.tell(say("stills"), true);
      const wait = Math.min(30, 2 ** ++this.tries), at = performance.now() + wait * 1000, run = this.run;
      const count = () => {
        if (run !== this.run) return;
        const n = Math.ceil((at - performance.now()) / 1000);
        if (n <= 0) return this.ask();
        this.tell(say("again", { n }) + (this.stills && !this.img.hidden ? " · " + say("stills") : ""), true);
        this.timer = setTimeout(count, 1000);
      };
      count();
    }

    // look says each second how far behind the picture is: what waits in the browser,
    // half the way there and back, what waited at the box; or how long nothing came.
    async look(run) {
      if (run !== this.run) return;
      const now = performance.now();
      let in_ = null, pair = null, local = null;
      const all = await this.pc.getStats();
      if (run !== this.run) return;
      all.forEach(s => {
        if (s.type === "inbound-rtp" && s.kind === "video") in_ = s;
        if (s.type === "candidate-pair" && s.nominated && s.state === "succeeded") pair = s;
      });
      if (pair) local = all.get(pair.localCandidateId);
      const frames = in_ ? in_.framesDecoded || 0 : 0, last = this.frame;
      if (frames && (!last || frames !== last.frames)) {
        let late = 0;
        const out = in_.jitterBufferEmittedCount - (last ? last.out : 0);
        if (out > 0) late = (in_.jitterBufferDelay - (last ? last.delay : 0)) / out;
        if (pair && pair.currentRoundTripTime) late += pair.currentRoundTripTime / 2;
        const me = local && (this.viewers || []).find(v => v.remote.endsWith(":" + local.port));
        if (me) late += me.behind_ns / 1e9;
        this.frame = { frames, at: now, out: in_.jitterBufferEmittedCount, delay: in_.jitterBufferDelay };
        this.tries = 0;
        this.still(false);
        set(this.why, "");
        this.tell(late < 1 ? say("now") : say("behind", { n: Math.round(late) }), late >= 3);
      } else if (last) {
        const n = Math.round((now - last.at) / 1000);
        if (n >= 2) this.tell(say("behind", { n }), true);
        if (n >= 15) return this.again(say("silent", { n }));
      } else if (now - this.since > 12000) return this.again(say("failed"));
      this.timer = setTimeout(() => this.look(run).catch(() => {}), 1000);
    }

    still(on) {
      if (on === !!this.stills) return;
      if (!on) {
        clearTimeout(this.stills);
        this.stills = 0;
        this.img.onload = this.img.onerror = null;
        this.img.hidden = true;
        this.img.removeAttribute("src");
        return;
      }
      let n = 0;
      const next = () => { this.img.src = this.url + "/still?n=" + ++n; };
      const later = ok => () => {
        this.img.hidden = !ok;
        const none = " " + say("no_still");
        if (!ok && !this.why.textContent.endsWith(none)) set(this.why, this.why.textContent + none);
        this.stills = setTimeout(next, ok ? 2000 : 5000);
      };
      this.img.onload = later(true);
      this.img.onerror = later(false);
      this.stills = setTimeout(next, 0);
    }

    // play asks for what was recorded, which is noted, and shows it.
    async play(what) {
      this.unplay();
      const film = this.player.querySelector("video");
      try {
        const r = await fetch(this.url + "/play?" + new URLSearchParams(what), { method: "POST" });
        if (!r.ok) return set(this.unplayed, await refusal(r));
        film.onerror = () => { this.unplay(); set(this.unplayed, say("not_played")); };
        film.onresize = () => { if (film.videoWidth) this.player.style.aspectRatio = film.videoWidth + "/" + film.videoHeight; };
        film.src = (await r.json()).url;
        this.player.hidden = false;
        film.play().catch(() => {});
      } catch (e) { set(this.unplayed, say("not_played")); }
    }

    unplay() {
      const film = this.player.querySelector("video");
      film.onerror = null;
      film.removeAttribute("src");
      film.load();
      this.player.hidden = true;
      set(this.unplayed, "");
    }

    // keep lists the clips of alarms.
    keep(s, may) {
      this.kept.hidden = !s.record;
      this.barred.hidden = may;
      this.form.hidden = this.noted.hidden = !may;
      const shown = JSON.stringify([s.clips, may]);
      if (this.clips.dataset.shown === shown) return;
      this.clips.dataset.shown = shown;
      this.clips.replaceChildren(...(s.clips || []).map(c => {
        const li = document.createElement("li"), what = document.createElement("span"), state = document.createElement("span"), sum = document.createElement("code");
        const at = c.began ? new Date(c.began).toLocaleString(lang === "en" ? "en-GB" : "zh-CN", { hour12: false }) : say("undated");
        what.textContent = say("clip", { at, title: text(c.title), n: c.seconds, mb: (c.bytes / 1e6).toFixed(1) });
        state.textContent = text(c.state_text);
        state.className = "meta";
        sum.textContent = c.sha256 ? "SHA-256 " + c.sha256 : "";
        li.append(what, state, sum);
        if (may && c.done) {
          const b = document.createElement("button");
          b.type = "button";
          b.textContent = say("play");
          b.onclick = () => this.play({ clip: c.id });
          li.append(b);
        }
        return li;
      }));
      if (!(s.clips || []).length) { const li = document.createElement("li"); li.textContent = say("clips_none"); this.clips.append(li); }
    }

    // show writes what the box says of the stream.
    show(s, viewers) {
      this.viewers = viewers;
      this.sound = s.sound;
      const n = Math.round((s.age_ns || 0) / 1e9), good = s.from && s.codec && n < 3;
      set(this.state, good ? say("live") : s.from && s.codec ? say("silent", { n }) : text(s.why_text) || say("nobody"));
      this.state.classList.toggle("bad", !good);
      list(this.figures, s.from && s.codec ? [s.codec.toUpperCase(), s.width && s.width + " × " + s.height, s.fps && Math.round(s.fps) + " fps", s.bitrate && Math.round(s.bitrate / 1000) + " kbit/s", s.from].filter(Boolean) : []);
      list(this.notes, (s.notes_text || []).map(text));
      const p = s.push, r = s.record, mb = r && Math.round(((r.bytes || 0) + (r.clip_bytes || 0)) / 1e6);
      list(this.told, [
        p ? say(p.connected ? "push" : "push_waits", { rung: p.rung + 1, kbps: Math.round((p.bitrate || 0) / 1000) }) + (text(s.reason_text) ? " · " + text(s.reason_text) : "") : say("push_none"),
        viewers.length ? say("watch", { who: viewers.map(v => v.name || v.remote).join(lang === "en" ? ", " : "、") }) : say("watch_none"),
        r ? say(r.recording ? "recording" : "record_waits", { mb, clips: r.clips || 0 }) + (r.lost_pictures ? " · " + say("record_lost", { n: r.lost_pictures }) : "") : say("record_none")
      ]);
      this.draw();
    }

    away(why) {
      set(this.state, why);
      this.state.classList.add("bad");
    }
  }

  // Searches the site's network for cameras, and says what to write into the site's file.
  const search = document.getElementById("search");
  search.querySelector("button").onclick = async e => {
    const button = e.target, why = search.querySelector(".why"), ul = search.querySelector("ul");
    button.disabled = true;
    set(why, say("searching"));
    ul.replaceChildren();
    try {
      const r = await fetch(root + "/cameras", { method: "POST" });
      if (!r.ok) throw new Error(await refusal(r));
      const f = await r.json();
      set(why, [say("search_found", { n: f.cameras.length, networks: f.networks.join(lang === "en" ? ", " : "、") }), ...(f.why_text || []).map(text)].join(" "));
      ul.replaceChildren(...f.cameras.map(c => {
        const li = document.createElement("li"), name = document.createElement("strong"), at = document.createElement("span"), pre = document.createElement("pre");
        name.textContent = c.name || c.address;
        at.textContent = [c.address, c.network].filter(Boolean).join(" · ");
        at.className = "meta";
        pre.textContent = c.text;
        li.append(name, at, pre);
        return li;
      }));
    } catch (err) { set(why, err.message || say("failed")); }
    button.disabled = false;
  };

  const films = [...document.querySelectorAll("[data-stream]")].map(c => new Film(c));
  const lost = document.getElementById("lost"), platforms = document.getElementById("platforms");
  // signs tells how it stands with the platforms at which the box signs in, and what they are shown.
  const signs = all => {
    platforms.hidden = !all.length;
    list(platforms.querySelector("ul"), all.map(p => {
      const n = Math.round(p.answered_ns / 1e9), what = (p.sessions || []).map(s => s.stream).join(lang === "en" ? ", " : "、");
      return say("platform", { name: text(p.title), is: text(p.why_text) || text(p.phase_text) }) + (n >= 0 ? " · " + say("platform_answered", { n }) : "") + (what ? " · " + say("platform_shown", { what }) : "");
    }));
  };
  async function poll() {
    const stop = new AbortController(), timer = setTimeout(() => stop.abort(), 3000);
    try {
      const r = await fetch(root, { cache: "no-store", signal: stop.signal });
      if (!r.ok) throw new Error(r.status);
      const all = await r.json();
      lost.hidden = true;
      document.body.classList.remove("stale");
      if (platforms) signs(all.platforms || []);
      for (const f of films) {
        const s = all.streams.find(x => x.name === f.name);
        if (s) f.keep(s, all.play);
        if (s) f.show(s, all.viewers.filter(v => v.stream === f.name));
        else f.away(say(all.running ? "nobody" : "away"));
      }
    } catch (e) {
      lost.hidden = false;
      document.body.classList.add("stale");
    } finally {
      clearTimeout(timer);
      setTimeout(poll, 2000);
    }
  }
  addEventListener("pagehide", () => films.forEach(f => f.isOpen && f.shut()));
  poll();
})();
