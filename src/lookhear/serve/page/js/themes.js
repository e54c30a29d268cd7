// Light, dark, or as the system has it. theme.js sets a remembered choice before the first paint.
import { $ } from "./dom.js";
import { say } from "./notices.js";

export function listen() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const tell = () => document.dispatchEvent(new Event("lookhear:theme"));
  dark.addEventListener("change", tell);
  $("#theme").addEventListener("click", () => {
    const root = document.documentElement;
    const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    const system = next === (dark.matches ? "dark" : "light"); // back to what the system says is no choice to remember
    if (system) delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      if (system) localStorage.removeItem("lookhear-theme");
      else localStorage.setItem("lookhear-theme", next);
    } catch {
      /* storage is switched off: for this visit alone */
    }
    tell();
    say(`${next} colours`);
  });
}
