// Hand and keys on the map: which point is meant, its name beside it, and its sound.
import * as api from "./api.js";
import { $, make } from "./dom.js";
import { called } from "./format.js";
import { say, trouble } from "./notices.js";
import { Stretch, hush } from "./player.js";

const DWELL = 160; // milliseconds of rest before a point sounds
const KEPT = 40; // points whose sound is kept
const sounds = new Map(); // number of a point → Stretch

export function hear(point, i) {
  if (point.modality !== "audio") {
    hush();
    return;
  }
  if (!sounds.has(i)) {
    sounds.set(i, new Stretch(() => api.excerpt(point.file, point.start, point.end), point.start));
    const [oldest] = sounds.keys();
    if (sounds.size > KEPT) {
      sounds.get(oldest).forget();
      sounds.delete(oldest);
    }
  }
  sounds
    .get(i)
    .play(point.start)
    .catch((error) => {
      if (error.name === "NotAllowedError")
        $("#map-hint").textContent = "The browser keeps quiet until the page is clicked: click into the map once.";
      else if (error.name !== "AbortError") trouble(error);
    });
}

export function label(point, drawing) {
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

/** Hovering, touching and the keys of the map. act: {like(point)}. */
export function wire(canvas, drawing, act) {
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
