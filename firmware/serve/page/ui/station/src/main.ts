import "../../lib/css/base.css";
import { mount } from "svelte";
import { speak, words } from "../../lib/i18n/index.svelte";
import { look, wear } from "../../lib/theme.svelte";
import App from "./App.svelte";

wear(look.theme, false);
const target = document.getElementById("app");
if (target) void speak(words.lang).then(() => mount(App, { target }));
