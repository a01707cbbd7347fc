// Takes the set-up secret out of the address, where the label's code puts it behind the
// number sign: what stands there is never sent, and so is in no log and no Referer.
"use strict";
(function () {
  var s = new URLSearchParams(location.hash.slice(1)).get("s"), f = document.getElementById("secret");
  if (!s) return;
  history.replaceState(null, "", location.pathname + location.search);
  if (f) f.value = s;
})();
