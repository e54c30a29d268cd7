// The service, and what can go wrong on the way to it.

const PATIENCE = 60_000; // milliseconds

/** What was refused: status (0: nobody answered), what is wrong, what to do. */
export class Refusal extends Error {
  constructor(status, what, fix, more = {}) {
    super(what);
    this.status = status;
    this.fix = fix;
    this.more = more;
  }
}

const UNSAID = {
  401: ["This archive asks for its token", "Enter it to go on."],
  404: ["That is no longer there", "Search again."],
  413: ["That is too large for the service", "Give it a shorter recording or a smaller picture."],
  415: ["That is no picture or recording the service can read", "Save it as WAV, FLAC, OGG, MP3, JPEG or PNG."],
  429: ["The service has too much to do", "Try again in a moment."],
  503: ["The service has too much to do", "Try again in a moment."],
  504: ["The search took too long", "Try again, or narrow it by a filter."],
};

async function refusal(answer) {
  let said = {};
  try {
    said = await answer.json();
  } catch {
    /* a proxy's page, or nothing: the status alone tells */
  }
  const [what, fix] = UNSAID[answer.status] ?? [
    `The service failed (${answer.status})`,
    "Try again; its terminal says more.",
  ];
  const text = (value, other) => (typeof value === "string" && value ? value : other);
  return new Refusal(answer.status, text(said.error, what), text(said.fix, fix), said);
}

async function ask(path, options = {}) {
  const late = AbortSignal.timeout(PATIENCE);
  const signal = options.signal ? AbortSignal.any([options.signal, late]) : late;
  let answer;
  try {
    answer = await fetch(path, { ...options, signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (late.aborted) throw new Refusal(504, ...UNSAID[504]);
    throw new Refusal(
      0,
      "The service does not answer",
      "See whether lookhear serve is still running. This page goes on by itself once it is back.",
    );
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

const sent = (body, signal) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
  signal,
});

export const about = async () => (await ask("/api/about")).json();
export const alive = async () => (await ask("/health")).json();
export const search = async (query, signal) => (await ask("/api/search", sent(query, signal))).json();
export const map = async (signal) => (await ask("/api/map", { signal })).json();
export const signIn = async (token) => ask("/api/session", sent({ token }));

export async function upload(blob, name, signal) {
  const form = new FormData();
  form.append("file", blob, name);
  return (await ask("/api/uploads", { method: "POST", body: form, signal })).json();
}

export async function peaks(file, start, end, bins, signal) {
  const query = new URLSearchParams({ start: start.toFixed(3), end: end.toFixed(3), bins });
  return (await ask(`/media/${file}/peaks?${query}`, { signal })).json();
}

/** A stretch of a recording as a WAV of its own: browsers play no AIFF, and cannot jump in what has no index. */
export async function excerpt(file, start, end, signal) {
  const query = new URLSearchParams({ start: start.toFixed(3), end: end.toFixed(3) });
  return (await ask(`/media/${file}/excerpt?${query}`, { signal })).blob();
}

export async function exported(format, hits) {
  const answer = await ask("/api/export", sent({ format, hits }));
  const named = /filename\*=UTF-8''([^;]+)|filename="?([^";]+)"?/i.exec(
    answer.headers.get("Content-Disposition") ?? "",
  );
  const name = named
    ? named[1]
      ? decodeURIComponent(named[1])
      : named[2]
    : `lookhear.${format === "textgrid" ? "TextGrid" : format}`;
  return { name, blob: await answer.blob() };
}

export const thumbnail = (file, pixels = 320) => `/media/${file}/thumbnail?size=${pixels}`;
export const whole = (file) => `/media/${file}`;
