// Texts as lines.
import { button, make } from "./dom.js";
import { facts } from "./moment.js";
import { key, worth } from "./format.js";

export function line(hit, { like, choose, chosen }) {
  const value = worth(hit);
  const id = `text-${hit.file}-${Math.round(1000 * hit.start)}`;
  const tick = make("input", {
    type: "checkbox",
    onchange: () => choose(hit, tick.checked),
    "aria-label": `Choose “${hit.text ?? hit.name}” for export`,
  });
  tick.checked = chosen(key(hit));
  const again = () => like(hit);
  const card = make(
    "li",
    { class: "text", tabindex: "-1", "aria-labelledby": id, data: { key: key(hit) } },
    make("p", { class: "said", id, text: hit.text ?? hit.name }),
    make("p", { class: "facts", text: [hit.name, facts(hit)].filter(Boolean).join(" · ") }),
    make(
      "p",
      { class: "worth" },
      make("span", { "aria-hidden": "true", text: value.text }),
      make("span", { class: "unseen", text: value.spoken }),
    ),
    make(
      "div",
      { class: "acts" },
      button("More like this", "like", again, { class: "act" }),
      make("label", { class: "tick" }, tick, make("span", { "aria-hidden": "true", text: "Choose" })),
    ),
  );
  return Object.assign(card, { open: again, toggle: again, like: again, hit, tick, forget() {} });
}
