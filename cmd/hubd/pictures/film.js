"use strict";
// The player's page plays without this; with it the hub knows when it is closed.
(() => {
  const at = "/pictures/film/" + document.body.dataset.id, video = document.querySelector("video"), screen = document.querySelector(".screen");
  video.onresize = video.onloadedmetadata = () => { if (video.videoWidth) screen.style.aspectRatio = video.videoWidth + "/" + video.videoHeight; };
  setInterval(() => fetch(at, { method: "POST" }).catch(() => {}), 60000);
  let stays = false; // the same page in the other language
  document.querySelector("[data-stay]").onclick = () => { stays = true; };
  addEventListener("pagehide", e => { if (!stays && !e.persisted) fetch(at, { method: "DELETE", keepalive: true }).catch(() => {}); });
})();
