// A moment of a recording, or a recording at its best moment.
import * as api from "./api.js";
import { button, icon, make } from "./dom.js";
import { clock, details, key, nearby, worth } from "./format.js";
import { Stretch, takeTurn } from "./player.js";
import { BINS, draw, stretch } from "./wave.js";

const RUN_UP = 0.1; // seconds played before and after a moment: a word cut off at its edge is hard to hear
const drawn = new WeakMap(); // card → what draws it once it comes into sight

const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries)
      if (entry.isIntersecting) {
        seen.unobserve(entry.target);
        drawn.get(entry.target)?.();
      }
  },
  { rootMargin: "300px" },
);

function described(hit, shown) {
  const best = hit.curve?.values.length
    ? `; the score is highest, ${Math.max(...hit.curve.values).toFixed(2)}, in the moment marked`
    : "";
  const here = `the moment is from ${clock(hit.start, 2)} to ${clock(hit.end, 2)}`;
  return `Waveform from ${clock(shown.start)} to ${clock(shown.end)}; ${here}${best}.`;
}

export function facts(hit) {
  const where = nearby(hit.folder);
  return [...details(hit), where].filter(Boolean).join(" · ");
}

/** A list item with .hear(), .toggle() and .forget(), for keys and lists. */
export function moment(hit, scale, { like, choose, chosen, trouble }) {
  const shown = stretch(hit);
  const sound = new Stretch(() => api.excerpt(hit.file, shown.start, shown.end), shown.start);
  const id = `hit-${hit.file}-${Math.round(1000 * hit.start)}-${Math.round(1000 * hit.end)}`;
  const box = make("div", { class: "wave", role: "img", "aria-label": described(hit, shown) });
  const tried = (promise) =>
    promise.catch((error) => {
      if (error.name !== "AbortError") trouble(error);
    });
  const hear = () =>
    tried(sound.play(Math.max(shown.start, hit.start - RUN_UP), Math.min(shown.end, hit.end + RUN_UP)));
  const on = () => tried(sound.audio.currentTime > 0 && !sound.audio.ended ? sound.play() : hear());
  const toggle = () => (sound.playing ? sound.pause() : on());
  const play = make(
    "button",
    { class: "play", type: "button", onclick: () => (sound.playing ? sound.pause() : hear()) },
    icon("play"),
  );
  const name = (verb) => play.setAttribute("aria-label", `${verb} ${hit.name} at ${clock(hit.start)}`);
  name("Hear");
  const shows = (symbol, verb) => {
    play.replaceChildren(icon(symbol));
    name(verb);
  };
  sound.audio.addEventListener("play", () => {
    takeTurn(sound);
    shows("pause", "Pause");
    card.classList.add("sounding", "heard");
  });
  sound.audio.addEventListener("pause", () => {
    shows("play", "Hear");
    card.classList.remove("sounding");
  });
  const tick = make("input", {
    type: "checkbox",
    onchange: () => choose(hit, tick.checked),
    "aria-label": `Choose ${hit.name} at ${clock(hit.start)} for export`,
  });
  tick.checked = chosen(key(hit));
  const value = worth(hit);
  const length = hit.seconds ? ` of ${clock(hit.seconds, 0)}` : "";
  const card = make(
    "li",
    { class: "moment", tabindex: "-1", "aria-labelledby": id, data: { key: key(hit) } },
    make(
      "div",
      { class: "head" },
      make("h3", { id, class: "name", text: hit.name }),
      make("p", { class: "facts", text: facts(hit), title: hit.folder }),
      make(
        "p",
        { class: "when" },
        make("span", { class: "unseen", text: "at " }),
        `${clock(hit.start, 2)} – ${clock(hit.end, 2)}`,
        make("span", { class: "soft", text: length }),
      ),
      make(
        "p",
        { class: "worth", title: "how well it fits" },
        make("span", { "aria-hidden": "true", text: value.text }),
        make("span", { class: "unseen", text: value.spoken }),
      ),
      make(
        "div",
        { class: "acts" },
        button("More like this", "like", () => like(hit), { class: "act" }),
        make("label", { class: "tick" }, tick, make("span", { "aria-hidden": "true", text: "Choose" })),
      ),
    ),
    make("div", { class: "strip" }, play, box),
    hit.text ? make("p", { class: "said", text: hit.text }) : null,
  );
  let picture = null;
  drawn.set(card, async () => {
    try {
      const found = await api.peaks(hit.file, shown.start, shown.end, BINS);
      if (card.isConnected)
        picture = draw(box, hit, shown, found, sound, scale, { seek: (at) => tried(sound.play(at)), moment: hear });
    } catch (error) {
      box.replaceChildren(make("p", { class: "blank", text: error.message }));
    }
  });
  seen.observe(card);
  return Object.assign(card, {
    open: hear,
    toggle,
    like: () => like(hit),
    hit,
    tick,
    forget() {
      seen.unobserve(card);
      picture?.destroy();
      sound.forget();
    },
  });
}
