// The search box: words, and the other parts as chips.
import { $, icon, make } from "./dom.js";
import { bySign, title } from "./state.js";
import { preview, sound } from "./previews.js";
import { say } from "./notices.js";

const MARKS = { picture: "picture", recording: "mic" };

function shown(part) {
  const source = part.upload ? preview(part.upload.id) : null;
  if (part.upload?.modality === "picture" && source) return make("img", { src: source, alt: "" });
  return part.text ? null : icon(part.upload ? (MARKS[part.upload.modality] ?? "mic") : "like");
}

/** One part: a press turns it from and to not. */
function chip(part, i, change) {
  const name = title(part);
  const turn = make(
    "button",
    {
      class: "turn",
      type: "button",
      "aria-pressed": String(part.not),
      title: part.not ? "now left out; press to ask for it" : "now asked for; press to leave it out",
      onclick: () => {
        change.turn(i);
        say(part.not ? `${name}: asked for` : `${name}: left out`);
      },
    },
    make("span", { class: "sign", text: part.not ? "not" : "and" }),
    shown(part),
    make("span", { class: "what", text: name }),
  );
  const heard = part.upload ? sound(part.upload.id) : null;
  const play = heard
    ? make(
        "button",
        { class: "hear", type: "button", "aria-label": `Hear ${name}`, onclick: () => heard.play(0) },
        icon("play"),
      )
    : null;
  const off = make(
    "button",
    {
      class: "off",
      type: "button",
      "aria-label": `Take away ${name}`,
      onclick: () => {
        change.drop(i);
        say(`${name} taken away`);
        $("#words").focus();
      },
    },
    icon("close"),
  );
  return make("li", { class: part.not ? "chip not" : "chip" }, turn, play, off);
}

/** A chip of what is still on its way to the service. Returns what takes it off. */
export function pending(name, cancel) {
  const off = make(
    "button",
    { class: "off", type: "button", "aria-label": `Stop sending ${name}`, onclick: cancel },
    icon("close"),
  );
  const waiting = make(
    "li",
    { class: "chip pending" },
    make(
      "span",
      { class: "turn" },
      make("span", { class: "lamp", "aria-hidden": "true" }),
      make("span", { class: "what", text: name }),
    ),
    off,
  );
  $("#chips").append(waiting);
  return () => waiting.remove();
}

let written = ""; // the words of the state shown last: what is typed and not yet searched for stays

export function render(state, change) {
  if (state.words !== written) $("#words").value = state.words;
  written = state.words;
  const coming = [...document.querySelectorAll("#chips .pending")];
  $("#chips").replaceChildren(...state.parts.map((part, i) => chip(part, i, change)), ...coming);
  $("#box").classList.toggle("filled", state.parts.length > 0);
}

/** change: {words(text, parts), turn(i), drop(i), take(i) → part}. limit: () → characters. */
export function listen(change, limit) {
  const words = $("#words");
  const offer = () => {
    $("#add").hidden = !words.value.trim();
  };
  const submit = () => {
    const given = bySign(words.value);
    const most = limit();
    if (most && given.words.length > most) {
      say(`At most ${most} characters.`);
      words.setCustomValidity(`At most ${most} characters; these are ${given.words.length}.`);
      words.reportValidity();
      return;
    }
    words.value = given.words;
    change.words(given.words, given.parts);
    offer();
  };
  words.addEventListener("input", () => {
    words.setCustomValidity("");
    offer();
  });
  $("#box").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  $("#add").addEventListener("click", () => {
    const given = bySign(words.value);
    const parts = given.words ? [{ not: false, text: given.words }, ...given.parts] : given.parts;
    words.value = "";
    change.words("", parts);
    offer();
    words.focus();
  });
  words.addEventListener("keydown", (event) => {
    // back into the last part made of words, as if it had never been a chip
    if (event.key !== "Backspace" || words.value || words.selectionStart !== 0) return;
    const part = change.take();
    if (!part) return;
    event.preventDefault();
    words.value = part.text ? (part.not ? `-"${part.text}"` : part.text) : "";
    offer();
  });
  return offer;
}
