// A stretch of a recording drawn: the waveform, the moment marked in it, and the score through time over both.
import WaveSurfer from "../vendor/wavesurfer/wavesurfer.esm.js";
import Regions from "../vendor/wavesurfer/regions.esm.js";
import { make, svg } from "./dom.js";
import { clock } from "./format.js";

export const HEIGHT = 64; // pixels; the hash in the Content-Security-Policy is of wavesurfer's style at this height
export const BINS = 400; // of a waveform; two pixels and one between for each
const AROUND = 1.5; // seconds shown before and after a moment that has no curve
const LEAST = 4; // seconds shown at least

/** The stretch to show: what the curve covers, or the moment and what is around it. */
export function stretch(hit) {
  const length = hit.seconds ?? Infinity;
  let start = hit.start - AROUND;
  let end = hit.end + AROUND;
  if (hit.curve?.values.length > 1) {
    start = Math.min(hit.start, hit.curve.start);
    end = Math.max(hit.end, hit.curve.start + hit.curve.step * hit.curve.values.length);
  }
  const wanting = Math.max(0, LEAST - (end - start)) / 2;
  start = Math.max(0, start - wanting);
  end = Math.min(length, end + wanting, start + 60);
  return { start, end };
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colours = () => ({
  waveColor: colour("--wave"),
  progressColor: colour("--ink"),
  cursorColor: colour("--accent"),
});

/**
 * The score as a line over the waveform, broken where there is none. scale: {low, high}, one for all hits of an answer,
 * so that they can be compared.
 */
function curve(hit, shown, scale) {
  const { start, step, values } = hit.curve;
  const span = shown.end - shown.start;
  const height = (value) =>
    96 - (90 * (Math.min(scale.high, Math.max(scale.low, value)) - scale.low)) / (scale.high - scale.low || 1);
  let path = "";
  values.forEach((value, i) => {
    if (value === null) return;
    const pen = i && values[i - 1] !== null ? "L" : "M";
    const across = (1000 * (start + (i + 0.5) * step - shown.start)) / span;
    path += `${pen}${across.toFixed(1)} ${height(value).toFixed(1)}`;
  });
  return svg(
    "svg",
    { class: "curve", viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { d: path }),
  );
}

export function scaleOf(hits) {
  const values = hits.flatMap((hit) => hit.curve?.values ?? []).filter((value) => value !== null);
  if (!values.length) return { low: 0, high: 1 };
  return {
    low: Math.max(
      0,
      values.reduce((a, b) => Math.min(a, b)),
    ),
    high: values.reduce((a, b) => Math.max(a, b)),
  };
}

/**
 * Draws into `box`. found: {low, high} from the service. sound: the Stretch that plays. act: {seek(seconds), moment()}.
 * Returns {destroy()}.
 */
export function draw(box, hit, shown, found, sound, scale, act) {
  const regions = Regions.create();
  const sheet = make("div", { class: "sheet" });
  box.replaceChildren(sheet);
  if (hit.curve?.values.length > 1) box.append(curve(hit, shown, scale));
  box.append(
    make("span", { class: "edge from", text: clock(shown.start) }),
    make("span", { class: "edge to", text: clock(shown.end) }),
  );
  const loudest = Math.max(0.02, ...found.high.map(Math.abs), ...found.low.map(Math.abs));
  const duration = shown.end - shown.start;
  const wave = WaveSurfer.create({
    ...colours(),
    container: sheet,
    height: HEIGHT,
    media: sound.audio,
    peaks: [found.high.map((v) => v / loudest), found.low.map((v) => v / loudest)],
    duration,
    barWidth: 2,
    barGap: 1,
    barRadius: 1,
    barMinHeight: 1,
    cursorWidth: 2,
    hideScrollbar: true,
    interact: false,
    plugins: [regions],
  });
  sheet.addEventListener("click", (event) => {
    const edge = sheet.getBoundingClientRect();
    act.seek(shown.start + (duration * (event.clientX - edge.left)) / edge.width);
  });
  wave.once("ready", () => {
    const region = regions.addRegion({
      start: hit.start - shown.start,
      end: hit.end - shown.start,
      drag: false,
      resize: false,
      color: colour("--mark"),
    });
    region.on("click", (event) => {
      event.stopPropagation();
      act.moment();
    });
    recolour.region = region;
  });
  const recolour = () => {
    wave.setOptions(colours());
    recolour.region?.setOptions({ color: colour("--mark") });
  };
  document.addEventListener("lookhear:theme", recolour);
  return {
    destroy() {
      document.removeEventListener("lookhear:theme", recolour);
      wave.destroy();
    },
  };
}
