// The archive as a map: what is alike lies near. Hover or go with the arrows to hear; press to search for more like it.
import * as api from "./api.js";
import { $, button, make } from "./dom.js";
import { called, count, counted } from "./format.js";
import { Drawing, LOOKS } from "./map-drawing.js";
import { list } from "./map-list.js";
import { say, trouble, wait } from "./notices.js";
import { Stretch, hush } from "./player.js";

const DWELL = 160; // milliseconds of rest before a point sounds
const sounds = new Map(); // number of a point → Stretch

function hear(point, i) {
  if (point.modality !== "audio") {
    hush();
    return;
  }
  if (!sounds.has(i)) sounds.set(i, new Stretch(() => api.excerpt(point.file, point.start, point.end), point.start));
  sounds
    .get(i)
    .play(point.start)
    .catch((error) => {
      if (error.name === "NotAllowedError")
        $("#map-hint").textContent = "The browser keeps quiet until the page is clicked: click into the map once.";
      else if (error.name !== "AbortError") trouble(error);
    });
}

function label(point, drawing) {
  const note = $("#map-note");
  note.hidden = !point;
  if (!point) return;
  const [x, y] = drawing.place(point);
  note.replaceChildren(
    ...(point.modality === "image" ? [make("img", { src: api.thumbnail(point.file, 160), alt: "" })] : []),
    make("span", { text: called(point) }),
  );
  note.classList.toggle("left", x > drawing.width / 2);
  note.style.translate = `${x}px ${y}px`;
}

function wire(canvas, drawing, act) {
  let rest = 0;
  const go = (i, { loud = 0, aloud = false } = {}) => {
    if (i === drawing.at) return;
    drawing.at = i;
    if (aloud && i >= 0) drawing.follow();
    drawing.draw();
    label(drawing.points[i], drawing);
    clearTimeout(rest);
    if (i < 0) {
      hush();
      return;
    }
    if (aloud) say(called(drawing.points[i]));
    rest = setTimeout(() => hear(drawing.points[i], i), loud);
  };
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "touch") go(drawing.near(event.offsetX, event.offsetY), { loud: DWELL });
  });
  canvas.addEventListener("pointerleave", () => {
    clearTimeout(rest);
    hush();
  });
  canvas.addEventListener("click", (event) => {
    const i = drawing.near(event.offsetX, event.offsetY, 24);
    if (i < 0) return;
    if (event.pointerType === "touch" && i !== drawing.at)
      go(i); // a first touch is heard, a second searches
    else act.like(drawing.points[i]);
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      drawing.magnify(event.deltaY < 0 ? 1.25 : 0.8, event.offsetX, event.offsetY);
      label(drawing.points[drawing.at], drawing);
    },
    { passive: false },
  );
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = arrows[event.key];
    if (arrow) go(drawing.towards(...arrow), { aloud: true });
    else if (event.key === "Enter" && drawing.at >= 0) act.like(drawing.points[drawing.at]);
    else if (event.key === " " && drawing.at >= 0) hear(drawing.points[drawing.at], drawing.at);
    else if (event.key === "+" || event.key === "-") {
      drawing.magnify(event.key === "+" ? 1.25 : 0.8);
      label(drawing.points[drawing.at], drawing);
    } else return;
    event.preventDefault();
  });
}

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
  const points = answer.points;
  if (!points.length) {
    $("#content").replaceChildren(
      make(
        "section",
        { class: "nothing" },
        make("h2", { text: "There is nothing to map yet" }),
        make("p", { text: "Index a folder first." }),
      ),
    );
    return;
  }
  const canvas = make("canvas", {
    class: "map",
    id: "map",
    tabindex: "0",
    role: "application",
    "aria-label": "Map of the archive",
    "aria-roledescription": "map",
    "aria-describedby": "map-hint",
  });
  const share = (answer.explained ?? []).reduce((sum, x) => sum + x, 0);
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
        text: `${counted(points.length, "point")}${share ? `; two directions that hold ${Math.round(100 * share)} % of the variance` : ""}`,
      }),
    ),
    make("p", {
      class: "soft",
      id: "map-hint",
      text: "What sounds or looks alike lies near. Hover, or go with the arrow keys, to hear; click or press Enter for more like it; plus and minus zoom.",
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
  const watch = new ResizeObserver(() => {
    if (canvas.isConnected) {
      drawing.resize();
      label(drawing.points[drawing.at], drawing);
    } else watch.disconnect();
  });
  watch.observe(canvas);
  document.addEventListener("lookhear:theme", () => drawing.draw());
  say(`Map of ${counted(points.length, "point")}.`);
}
