// Hits chosen for export, across searches.
import * as api from "./api.js";
import { $, button, make } from "./dom.js";
import { counted, key } from "./format.js";
import { say, trouble } from "./notices.js";

const kept = new Map(); // key → {hit, query}
const FORMATS = [
  ["textgrid", "TextGrid", "Praat"],
  ["eaf", "EAF", "ELAN"],
  ["csv", "CSV", "tables"],
];

export const isChosen = (name) => kept.has(name);

export function choose(hit, on, query) {
  if (on) kept.set(key(hit), { hit, query });
  else kept.delete(key(hit));
  show();
  say(
    on
      ? `${hit.name} chosen; ${counted(kept.size, "hit")} in all.`
      : `${hit.name} no longer chosen; ${counted(kept.size, "hit")} left.`,
  );
}

function clear() {
  kept.clear();
  document.querySelectorAll("#content .tick input").forEach((tick) => {
    tick.checked = false;
  });
  show();
  say("Nothing chosen.");
  $("#words").focus();
}

async function save(format, label) {
  const hits = [...kept.values()].map(({ hit, query }) => ({
    file: hit.file,
    start: hit.start,
    end: hit.end,
    query,
    score: hit.score,
    probability: hit.probability ?? null,
  }));
  try {
    const { name, blob } = await api.exported(format, hits);
    const url = URL.createObjectURL(blob);
    make("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    say(`${counted(hits.length, "hit")} saved as ${label}.`);
  } catch (error) {
    trouble(error, () => save(format, label));
  }
}

function show() {
  const tray = $("#tray");
  tray.hidden = kept.size === 0;
  if (tray.hidden) return;
  $(".how-many", tray)?.remove();
  if (!tray.childElementCount) {
    tray.append(
      make(
        "span",
        { class: "ways" },
        make("span", { class: "soft", text: "Save as" }),
        ...FORMATS.map(([format, label, what]) =>
          button(label, null, () => save(format, label), { class: "act", title: what }),
        ),
      ),
      button("Clear", "close", clear, { class: "plain" }),
    );
  }
  tray.prepend(make("strong", { class: "how-many", text: `${counted(kept.size, "hit")} chosen` }));
}
