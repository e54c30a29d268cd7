// Pictures as a wall, and one of them looked at.
import * as api from "./api.js";
import { $, button, make } from "./dom.js";
import { facts } from "./moment.js";
import { key, worth } from "./format.js";

/** A list item of the wall: .open() shows it whole. */
export function picture(hit, { like, choose, chosen }) {
  const value = worth(hit);
  const image = make("img", { src: api.thumbnail(hit.file), alt: "", loading: "lazy", decoding: "async" });
  const tick = make("input", {
    type: "checkbox",
    onchange: () => choose(hit, tick.checked),
    "aria-label": `Choose ${hit.name} for export`,
  });
  tick.checked = chosen(key(hit));
  const open = () => look(hit, { like });
  const card = make(
    "li",
    { class: "tile", tabindex: "-1", "aria-label": `${hit.name}, ${value.spoken}`, data: { key: key(hit) } },
    make(
      "button",
      { class: "frame", type: "button", onclick: open },
      image,
      make(
        "span",
        { class: "caption" },
        make("span", { class: "unseen", text: "Look at " }),
        make("span", { class: "name", text: hit.name }),
        " ",
        make(
          "span",
          { class: "worth" },
          make("span", { "aria-hidden": "true", text: value.text }),
          make("span", { class: "unseen", text: value.spoken }),
        ),
      ),
    ),
    make("label", { class: "tick over" }, tick),
    button(`More like ${hit.name}`, "like", () => like(hit), { class: "round over like", shown: false }),
  );
  image.addEventListener("load", () => {
    // rows of one height: each tile as wide as its picture asks
    const shape = Math.min(2.4, Math.max(0.6, image.naturalWidth / image.naturalHeight));
    card.style.setProperty("--shape", shape.toFixed(3));
  });
  image.addEventListener("error", () => {
    image.remove();
    card.classList.add("unseen-picture");
  });
  return Object.assign(card, { open, toggle: open, like: () => like(hit), hit, tick, forget() {} });
}

export function look(hit, { like }) {
  const dialog = $("#look");
  $("#look-picture").src = api.whole(hit.file);
  $("#look-picture").alt = hit.text ?? hit.name;
  $("#look-name").textContent = hit.name;
  $("#look-facts").textContent = [hit.text, facts(hit), worth(hit).spoken].filter(Boolean).join(" · ");
  $("#look-acts").replaceChildren(
    button(
      "More like this",
      "like",
      () => {
        dialog.close();
        like(hit);
      },
      { class: "act" },
    ),
    button("Close", "close", () => dialog.close(), { class: "act" }),
  );
  dialog.showModal();
}
