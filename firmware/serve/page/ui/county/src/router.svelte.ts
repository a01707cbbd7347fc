// The address after #: #/stations, #/station/330483105203.
export const place = $state<{ name: string; arg: string }>(parse());

function parse() {
  const [name = "", ...rest] = (location.hash.replace(/^#\/?/, "").split("?")[0] ?? "").split("/");
  return { name: name || "stations", arg: decodeURIComponent(rest.join("/")) };
}
addEventListener("hashchange", () => {
  Object.assign(place, parse());
  scrollTo(0, 0);
});
