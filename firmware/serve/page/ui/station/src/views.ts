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
  { route: "alarms", icon: "bell", role: "viewer", title: "alarms.title", group: "now", bar: true, load: () => import("./views/Alarms.svelte") },
  { route: "alerts", icon: "letter", role: "viewer", title: "alerts.title", group: "now", load: () => import("./views/Alerts.svelte") },
  { route: "announcer", icon: "horn", role: "cadre", title: "announcer.title", group: "now", load: () => import("./views/Announcer.svelte") },
  { route: "video", icon: "camera", role: "viewer", title: "video.title", group: "now", load: () => import("./views/Video.svelte") },
  { route: "timeline", icon: "list", role: "viewer", title: "timeline.title", group: "past", bar: true, load: () => import("./views/Timeline.svelte") },
  { route: "point", icon: "line", role: "viewer", title: "point.title", group: "past", detail: "river.level", load: () => import("./views/Point.svelte") },
  { route: "logs", icon: "log", role: "viewer", title: "logs.title", group: "past", load: () => import("./views/Logs.svelte") },
  { route: "health", icon: "heart", role: "viewer", title: "health.title", group: "box", bar: true, load: () => import("./views/Health.svelte") },
  { route: "links", icon: "link", role: "viewer", title: "links.title", group: "box", load: () => import("./views/Links.svelte") },
  { route: "wizard", icon: "steps", role: "technician", title: "wizard.title", group: "setup", load: () => import("./views/Wizard.svelte") },
  { route: "network", icon: "link", role: "technician", title: "network.title", group: "setup", load: () => import("./views/Network.svelte") },
  { route: "backup", icon: "file", role: "technician", title: "backup.title", group: "setup", load: () => import("./views/Backup.svelte") },
  { route: "update", icon: "down", role: "technician", title: "update.title", group: "setup", load: () => import("./views/Update.svelte") },
  { route: "help", icon: "help", role: "viewer", title: "help.title", group: "help", load: () => import("./views/Help.svelte") },
  { route: "users", icon: "users", role: "owner", title: "users.title", group: "setup", load: () => import("./views/Users.svelte") },
  { route: "audit", icon: "shield", role: "technician", title: "audit.title", group: "past", load: () => import("./views/Audit.svelte") },
  { route: "devices", icon: "line", role: "technician", title: "devices.title", group: "setup", load: () => import("./views/Devices.svelte") },
  { route: "scanner", icon: "search", role: "technician", title: "scanner.title", group: "setup", load: () => import("./views/Scanner.svelte") },
  { route: "rules", icon: "bell", role: "viewer", title: "rules.title", group: "setup", load: () => import("./views/Rules.svelte") },
  { route: "plans", icon: "list", role: "viewer", title: "plans.title", group: "setup", load: () => import("./views/Plans.svelte") },
  { route: "config", icon: "file", role: "technician", title: "config.title", group: "setup", load: () => import("./views/Config.svelte") },
];
