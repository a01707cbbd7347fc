// Keeps the page fresh each second, says within 3 s that the box cannot be
// reached, and sends STOP without leaving the page. The page works without it.
"use strict";
(function () {
  var $ = function (id) { return document.getElementById(id); };
  var lang = document.documentElement.lang === "en" ? "en" : "zh";
  var last = Date.now(), busy = false, failed = false;

  document.documentElement.classList.add("scripted");

  function get(url, options, limit) {
    var stop = new AbortController();
    var timer = setTimeout(function () { stop.abort(); }, limit);
    options.signal = stop.signal;
    options.cache = "no-store";
    return fetch(url, options).finally(function () { clearTimeout(timer); });
  }

  // Only what changed is replaced, so that a screen reader, a selection and the
  // keyboard's place stay where they are.
  function show(html) {
    var fresh = new DOMParser().parseFromString(html, "text/html");
    document.querySelectorAll("[data-live]").forEach(function (old) {
      var now = fresh.getElementById(old.id);
      if (!now) return;
      if (old.innerHTML !== now.innerHTML) old.innerHTML = now.innerHTML;
      if (old.id === "sounding" && old.dataset.sound !== now.dataset.sound) {
        old.dataset.sound = now.dataset.sound;
        $("listen").hidden = !now.dataset.has;
        if ($("audio").paused) $("audio").load();
      }
    });
  }

  function lost(is) {
    if ($("lost").hidden !== is) return;
    $("lost").hidden = !is;
    $("lost-since").textContent = is ? $("now").textContent : "";
    document.body.classList.toggle("stale", is);
  }

  function tick() {
    if (failed || Date.now() - last > 2500) lost(true);
    if (busy) return;
    busy = true;
    get("/live?lang=" + lang, {}, 2000).then(function (r) {
      if (!r.ok) throw new Error(r.status);
      return r.text();
    }).then(function (html) {
      show(html);
      last = Date.now();
      failed = false;
      lost(false);
    }).catch(function () {
      failed = Date.now() - last > 1800;
    }).finally(function () { busy = false; });
  }
  setInterval(tick, 1000);
  setInterval(function () { if (Date.now() - last > 2600) lost(true); }, 300);

  var form = $("stop"), said = $("said");
  try { form.who.value = form.who.value || localStorage.getItem("who") || ""; } catch (e) { /* private mode */ }

  function say(text, done) {
    said.textContent = text;
    said.className = "said " + (done ? "done" : "failed");
  }

  form.addEventListener("submit", function (e) {
    e.preventDefault();
    try { localStorage.setItem("who", form.who.value); } catch (err) { /* private mode */ }
    var button = form.querySelector("button");
    button.disabled = true;
    get("/stop", {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form))
    }, 9000).then(function (r) { return r.json(); }).then(function (a) {
      say(a.text, a.done);
      tick();
    }).catch(function () {
      say($("lost").textContent.trim(), false);
    }).finally(function () { button.disabled = false; });
  });
})();
