// Numbers and names as people read them.

const whole = new Intl.NumberFormat("en");

export const count = (n) => whole.format(n);

export const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Seconds as 3.2 s, 4:07.5 or 1:02:03.4. */
export function clock(seconds, digits = 1) {
  const s = Math.max(0, seconds);
  if (s < 60) return `${s.toFixed(digits)} s`;
  const rest = (s % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

export const lasted = (seconds) =>
  seconds < 0.0995 ? `${Math.max(1, Math.round(1000 * seconds))} ms` : `${seconds.toFixed(1)} s`;

export function duration(hours) {
  if (hours >= 10) return `${count(Math.round(hours))} hours`;
  if (hours >= 1) return `${hours.toFixed(1)} hours`;
  return counted(Math.max(1, Math.round(hours * 60)), "minute");
}

export function size(bytes) {
  return bytes >= 1e6 ? `${Math.round(bytes / 1e6)} MB` : `${Math.max(1, Math.round(bytes / 1e3))} kB`;
}

/** How well a hit fits: a probability where the model is calibrated, the cosine elsewhere. */
export function worth(hit) {
  if (hit.probability === null || hit.probability === undefined)
    return { text: hit.score.toFixed(2), spoken: `score ${hit.score.toFixed(2)}` };
  const percent = hit.probability >= 0.995 ? "> 99 %" : `${Math.round(100 * hit.probability)} %`;
  return { text: percent, spoken: `${percent} likely` };
}

/** The last two folders of a path: where a thing lies, without the whole tree. */
export function nearby(folder) {
  const steps = (folder ?? "").split("/").filter(Boolean);
  return steps.length > 2 ? `… / ${steps.slice(-2).join(" / ")}` : steps.join(" / ");
}

export const details = (hit) =>
  Object.values(hit.details ?? {})
    .filter((value) => value !== null && value !== "")
    .map(String);

export const key = (hit) => `${hit.file}:${hit.start.toFixed(3)}:${hit.end.toFixed(3)}`;

export const called = (hit) => (hit.modality === "audio" ? `${hit.name} at ${clock(hit.start)}` : hit.name);
