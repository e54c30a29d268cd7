// An answer: how many, the hits in their shape, and more of them.
import { $, button, make } from "./dom.js";
import { choose, isChosen } from "./chosen.js";
import { count, counted, lasted } from "./format.js";
import { moment } from "./moment.js";
import { picture } from "./pictures.js";
import { trouble } from "./notices.js";
import { inWords, narrowed } from "./state.js";
import { line } from "./texts.js";
import { scaleOf } from "./wave.js";

const ONE = { moments: "moment", recordings: "recording", pictures: "picture", texts: "text" };
const SHAPE = { audio: moment, image: picture, text: line };
let cards = [];

export const shownCards = () => cards;

export function clear() {
  for (const card of cards) card.forget();
  cards = [];
  $("#content").replaceChildren();
}

function heading(state, n, answer) {
  const name = answer.more ? `The first ${counted(n, ONE[state.kind])}` : counted(n, ONE[state.kind]);
  const took = `${count(answer.rows)} segments in ${lasted(answer.seconds)}`;
  return [
    make(
      "h2",
      { class: "sum", id: "sum" },
      make("span", { text: name }),
      make("span", { class: "for", text: ` for ${inWords(state)}` }),
    ),
    make("p", { class: "took", text: took }),
  ];
}

function loader(more) {
  const load = async () => {
    next.disabled = true;
    await more();
    next.disabled = false; // still there if it failed
  };
  const next = button("Load more", null, load, { class: "plain more", id: "more" });
  return next;
}

/** act: {like(hit), more(), search(change)}. Draws a first answer. */
export function render(state, answer, act) {
  clear();
  if (!answer.hits.length) {
    $("#content").append(nothing(state, act));
    return;
  }
  const scale = scaleOf(answer.hits);
  const list = make("ol", { class: `hits ${state.kind}`, role: "list", id: "hits", "aria-labelledby": "sum" });
  const summary = make("div", { class: "summary" });
  const foot = make("div", { class: "foot" });
  $("#content").append(summary, list, foot);
  const given = { like: act.like, choose: (hit, on) => choose(hit, on, inWords(state)), chosen: isChosen, trouble };
  const append = (more) => {
    const made = more.hits.map((hit) =>
      SHAPE[hit.modality](hit, ...(hit.modality === "audio" ? [scale, given] : [given])),
    );
    cards.push(...made);
    list.append(...made);
    summary.replaceChildren(...heading(state, cards.length, more));
    foot.replaceChildren(...(more.more ? [loader(act.more)] : [make("p", { class: "soft", text: "That is all." })]));
    return made;
  };
  append(answer);
  return append;
}

function nothing(state, act) {
  const ways = [];
  if (narrowed(state))
    ways.push(
      button(
        "Search without the filters",
        null,
        () => act.search({ where: { folder: null, since: "", until: "", details: {} } }),
        { class: "go" },
      ),
    );
  if (state.parts.some((part) => part.not))
    ways.push(
      button("Leave nothing out", null, () => act.search({ parts: state.parts.filter((part) => !part.not) }), {
        class: "go",
      }),
    );
  for (const kind of Object.keys(ONE))
    if (kind !== state.kind)
      ways.push(button(`Look for ${kind}`, null, () => act.search({ kind }), { class: "plain" }));
  return make(
    "section",
    { class: "nothing" },
    make("h2", { text: `No ${state.kind} found` }),
    make("p", {
      text: `Nothing here answers to ${inWords(state)}. Other words for the same thing may; so may a picture of it.`,
    }),
    make("div", { class: "acts" }, ...ways),
  );
}
