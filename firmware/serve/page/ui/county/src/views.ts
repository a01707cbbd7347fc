// Every view of the county's console, one row each: the table from which the navigation, the router
// and the tests come. A new view is a file in views/, a row here, and its texts in
// county/i18n/{zh,en}/<view>.json; see CONTRIBUTING.
import type { Component } from "svelte";
import type { Icon } from "../../lib/icons";

export type Group = "now" | "hub";
export type Role = "viewer" | "operator" | "owner";
export type View = {
  /** The address: #/route, and after a slash what the view is about. */
  route: string;
  icon: Icon;
  /** The least role that sees it; the hub refuses the rest anyway. */
  role: Role;
  /** The key of its title. */
  title: string;
  group: Group;
  /** Shown in the bar at the foot of a phone: four at most. */
  bar?: boolean;
  /** Reached from another view only. The tests open it with this argument. */
  detail?: string;
  /** Only where the hub has live pictures. */
  pictures?: boolean;
  load: () => Promise<{ default: Component }>;
};

export const groups: Group[] = ["now", "hub"];

export const views: View[] = [
  { route: "stations", icon: "list", role: "viewer", title: "stations.title", group: "now", bar: true, load: () => import("./views/Stations.svelte") },
  { route: "station", icon: "heart", role: "viewer", title: "station.title", group: "now", detail: "330483105203", load: () => import("./views/Station.svelte") },
  { route: "alarms", icon: "bell", role: "viewer", title: "alarms.title", group: "now", bar: true, load: () => import("./views/Alarms.svelte") },
  { route: "sent", icon: "letter", role: "viewer", title: "sent.title", group: "now", bar: true, load: () => import("./views/Sent.svelte") },
  { route: "send", icon: "horn", role: "operator", title: "send.title", group: "now", load: () => import("./views/Send.svelte") },
  { route: "live", icon: "camera", role: "viewer", title: "live.title", group: "now", bar: true, pictures: true, load: () => import("./views/Live.svelte") },
  { route: "account", icon: "person", role: "viewer", title: "account.title", group: "hub", load: () => import("./views/Account.svelte") },
  { route: "accounts", icon: "users", role: "owner", title: "accounts.title", group: "hub", load: () => import("./views/Accounts.svelte") },
  { route: "audit", icon: "shield", role: "owner", title: "audit.title", group: "hub", load: () => import("./views/Audit.svelte") },
];
