// The address after #: #/live, #/point/river.level, with ?a=b behind it.
export const place = $state<{ name: string; arg: string; query: URLSearchParams }>(parse());

function parse() {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", ...rest] = path.split("/");
  return { name: name || "live", arg: decodeURIComponent(rest.join("/")), query: new URLSearchParams(query) };
}
addEventListener("hashchange", () => {
  Object.assign(place, parse());
  scrollTo(0, 0);
});
