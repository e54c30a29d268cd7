// The archive as a map: what is alike lies near. Hover or go with the arrows to hear; press to search for more like it.
import * as api from "./api.js";
import { $, button, make } from "./dom.js";
import { count, counted } from "./format.js";
import { Drawing, LOOKS } from "./map-drawing.js";
import { list } from "./map-list.js";
import { hear, label, wire } from "./map-pointing.js";
import { say, trouble, wait } from "./notices.js";

function legend(points) {
  const n = (modality) => points.filter((point) => point.modality === modality).length;
  return make(
    "ul",
    { class: "looks", "aria-label": "What is on the map" },
    ...Object.entries(LOOKS)
      .filter(([modality]) => n(modality))
      .map(([modality, look]) =>
        make(
          "li",
          { class: `is-${modality}` },
          make("i", { "aria-hidden": "true" }),
          make("span", { text: `${count(n(modality))} ${look.name}` }),
        ),
      ),
  );
}

const empty = () =>
  make(
    "section",
    { class: "nothing" },
    make("h2", { text: "There is nothing to map yet" }),
    make("p", { text: "Index a folder first." }),
  );

/** Draws again for another size or theme, as long as the canvas is shown. */
function keepUp(canvas, drawing) {
  const redraw = () => {
    if (canvas.isConnected) {
      drawing.resize();
      label(drawing.points[drawing.at], drawing);
    } else {
      watch.disconnect();
      document.removeEventListener("lookhear:theme", redraw);
    }
  };
  const watch = new ResizeObserver(redraw);
  watch.observe(canvas);
  document.addEventListener("lookhear:theme", redraw);
}

/** Draws the map into #content. act: {like(point)}. current: () → false once the page shows something else. */
export async function render(act, current, again) {
  const done = wait("Laying out the map…");
  let answer;
  try {
    answer = await api.map();
  } catch (error) {
    if (current()) trouble(error, again);
    return;
  } finally {
    done();
  }
  if (!current()) return;
  const { points } = answer;
  if (!points.length) {
    $("#content").replaceChildren(empty());
    return;
  }
  lay(points, answer.explained ?? [], act);
  say(`Map of ${counted(points.length, "point")}.`);
}

function lay(points, explained, act) {
  const canvas = make("canvas", {
    class: "map",
    id: "map",
    tabindex: "0",
    role: "application",
    "aria-label": "Map of the archive",
    "aria-roledescription": "map",
    "aria-describedby": "map-hint",
  });
  const share = explained.reduce((sum, x) => sum + x, 0);
  const percent = Math.round(100 * share);
  const drawing = new Drawing(canvas, points);
  const near = (factor) => () => {
    drawing.magnify(factor);
    label(drawing.points[drawing.at], drawing);
  };
  $("#content").replaceChildren(
    make(
      "div",
      { class: "summary" },
      make("h2", { class: "sum", text: "Map of the archive" }),
      make("p", {
        class: "took",
        text: counted(points.length, "point") + (share ? `; two directions with ${percent} % of the variance` : ""),
      }),
    ),
    make("p", {
      class: "soft",
      id: "map-hint",
      text:
        "What sounds or looks alike lies near. Hover, or go with the arrow keys, to hear; " +
        "click or press Enter for more like it; plus and minus zoom.",
    }),
    make(
      "div",
      { class: "sheet-of-map" },
      canvas,
      make("div", { class: "note", id: "map-note", hidden: true }),
      make(
        "div",
        { class: "zoom" },
        button("Nearer", "plus", near(1.5), { class: "round", shown: false }),
        make(
          "button",
          { class: "round", type: "button", onclick: near(1 / 1.5) },
          make("span", { "aria-hidden": "true", text: "–" }),
          make("span", { class: "unseen", text: "Farther" }),
        ),
      ),
    ),
    legend(points),
    list(points, act, hear),
  );
  wire(canvas, drawing, act);
  drawing.resize();
  keepUp(canvas, drawing);
}
