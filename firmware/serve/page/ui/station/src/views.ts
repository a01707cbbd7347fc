// Every view of the console, one row each: the table from which the navigation, the router and
// the tests come. A new view is a file in views/, a row here, and its texts in
// lib/i18n/{zh,en}/<view>.json; see CONTRIBUTING.
import type { Component } from "svelte";
import type { Icon } from "../../lib/icons";

export type Group = "now" | "past" | "box" | "setup" | "help";
export type Role = "viewer" | "cadre" | "operator" | "technician" | "owner";
export type View = {
  /** The address: #/route, and after a slash what the view is about. */
  route: string;
  icon: Icon;
  /** The least role that sees it; the box refuses the rest anyway. */
  role: Role;
  /** The key of its title. */
  title: string;
  group: Group;
  /** Shown in the bar at the foot of a phone: four at most. */
  bar?: boolean;
  /** Reached from another view only; the navigation does not list it. The tests open it with this argument. */
  detail?: string;
  load: () => Promise<{ default: Component }>;
};

export const groups: Group[] = ["now", "past", "box", "setup", "help"];

export const views: View[] = [
  { route: "live", icon: "live", role: "viewer", title: "live.title", group: "now", bar: true, load: () => import("./views/Live.svelte") },
  { route: "wizard", icon: "steps", role: "technician", title: "wizard.title", group: "setup", load: () => import("./views/Wizard.svelte") },
];
