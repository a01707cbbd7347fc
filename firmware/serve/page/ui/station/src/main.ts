import "../../lib/css/base.css";
import { mount } from "svelte";
import { from, speak, words } from "../../lib/i18n/index.svelte";
import { look, wear } from "../../lib/theme.svelte";
import App from "./App.svelte";
import { views } from "./views";

from(() => import("../../lib/i18n/zh"), () => import("../../lib/i18n/en"));
wear(look.theme, false);
const target = document.getElementById("app");
if (target) void speak(words.lang).then(() => mount(App, { target }));

// The tests walk through the same table as the navigation.
(window as unknown as { tocsinViews: object }).tocsinViews = views.map((v) => ({ route: v.route, detail: v.detail }));
