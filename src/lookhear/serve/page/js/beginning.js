// An empty page: what there is, and ways to begin, taken from the archive itself.
import * as api from "./api.js";
import { $, button, icon, make } from "./dom.js";
import { clock, counted, duration } from "./format.js";
import { trouble } from "./notices.js";
import { Stretch } from "./player.js";

const WORDS = 60; // letters of a text that can be offered as a query

export function holdings(about) {
  const { recordings, pictures, texts, hours } = about.counts;
  const parts = [];
  if (recordings) parts.push(`${counted(recordings, "recording")}, ${duration(hours)}`);
  if (pictures) parts.push(counted(pictures, "picture"));
  if (texts) parts.push(counted(texts, "text"));
  return parts.join(" · ");
}

function sounds(list, act) {
  return list.map((one) => {
    const sound = new Stretch(() => api.excerpt(one.file, one.start, one.end), one.start);
    const play = make(
      "button",
      {
        class: "play",
        type: "button",
        "aria-label": `Hear ${one.name} at ${clock(one.start)}`,
        onclick: () => (sound.playing ? sound.pause() : sound.play(one.start).catch(trouble)),
      },
      icon("play"),
    );
    sound.audio.addEventListener("play", () => play.replaceChildren(icon("pause")));
    sound.audio.addEventListener("pause", () => play.replaceChildren(icon("play")));
    return make(
      "li",
      { class: "sample" },
      play,
      make("span", { class: "name", text: one.name }),
      make("span", { class: "soft", text: `at ${clock(one.start)}` }),
      button("More like this", "like", () => act.like(one), { class: "act" }),
    );
  });
}

/** act: {like(hit), search(change)}. */
export function render(about, act) {
  const samples = about?.examples ?? [];
  const of = (modality) => samples.filter((one) => one.modality === modality);
  const words = of("text").filter((one) => one.text && one.text.length <= WORDS);
  const ways = [];
  if (words.length) {
    ways.push(
      make(
        "section",
        {},
        make("h2", { text: "Start from words" }),
        make(
          "ul",
          { class: "words" },
          ...words.map((one) =>
            make(
              "li",
              {},
              button(one.text, null, () => act.search({ words: one.text, parts: [] }), { class: "word" }),
            ),
          ),
        ),
      ),
    );
  }
  if (of("image").length) {
    ways.push(
      make(
        "section",
        {},
        make("h2", { text: "Start from a picture" }),
        make(
          "ul",
          { class: "thumbs" },
          ...of("image").map((one) =>
            make(
              "li",
              {},
              make(
                "button",
                { class: "frame", type: "button", "aria-label": `Search by ${one.name}`, onclick: () => act.like(one) },
                make("img", { src: api.thumbnail(one.file), alt: "", loading: "lazy" }),
              ),
            ),
          ),
        ),
      ),
    );
  }
  if (of("audio").length)
    ways.push(
      make(
        "section",
        {},
        make("h2", { text: "Start from a sound" }),
        make("ul", { class: "samples" }, ...sounds(of("audio"), act)),
      ),
    );
  if (about && !about.counts.segments) {
    $("#motto").textContent = "This archive is still empty";
    $("#lead").textContent = "Index a folder with lookhear index, and load this page again.";
  }
  $("#content").replaceChildren(make("div", { class: "ways" }, ...ways));
}
