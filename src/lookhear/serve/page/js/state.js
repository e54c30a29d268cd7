// What is looked for, and the address that says it, so that the back button and a bookmark work.
//
// A part is {not, text} | {not, upload: {id, modality, name}} | {not, moment: {file, start, end, name}}.

export const KINDS = ["moments", "recordings", "pictures", "texts"];

export const blank = () => ({
  view: "search",
  words: "",
  parts: [],
  kind: "moments",
  where: { folder: null, since: "", until: "", details: {} },
});

/** Words as written, anything else behind an @, and words that begin with one behind @text. */
function spell(part) {
  if (part.upload) return `@upload:${part.upload.id}:${part.upload.modality}:${part.upload.name}`;
  if (part.moment) return `@moment:${part.moment.file}:${part.moment.start}:${part.moment.end}:${part.moment.name}`;
  return part.text.startsWith("@") ? `@text:${part.text}` : part.text;
}

function read(word, not) {
  const [tag, ...rest] = word.split(":");
  if (tag === "@upload" && rest.length >= 3)
    return { not, upload: { id: rest[0], modality: rest[1], name: rest.slice(2).join(":") } };
  if (tag === "@moment" && rest.length >= 4) {
    const [file, start, end] = rest.slice(0, 3).map(Number);
    return [file, start, end].every(Number.isFinite)
      ? { not, moment: { file, start, end, name: rest.slice(3).join(":") } }
      : null;
  }
  const text = tag === "@text" ? rest.join(":") : word;
  return text.trim() ? { not, text: text.trim() } : null;
}

export function address(state) {
  const query = new URLSearchParams();
  if (state.view === "map") query.set("view", "map");
  if (state.words) query.set("q", state.words);
  for (const part of state.parts) query.append(part.not ? "not" : "and", spell(part));
  if (state.kind !== "moments") query.set("kind", state.kind);
  for (const name of ["folder", "since", "until"]) if (state.where[name]) query.set(name, state.where[name]);
  for (const [column, values] of Object.entries(state.where.details))
    for (const value of values) query.append(`by.${column}`, value);
  const text = query.toString();
  return text ? `/?${text}` : "/";
}

export function fromAddress(text) {
  const state = blank();
  for (const [name, value] of new URLSearchParams(text)) {
    if (name === "view" && value === "map") state.view = "map";
    else if (name === "q") state.words = value.trim();
    else if (name === "and" || name === "not") {
      const part = read(value, name === "not");
      if (part) state.parts.push(part);
    } else if (name === "kind" && KINDS.includes(value)) state.kind = value;
    else if (["folder", "since", "until"].includes(name)) state.where[name] = value;
    else if (name.startsWith("by.") && name.length > 3) (state.where.details[name.slice(3)] ??= []).push(value);
  }
  return state;
}

/** "red -boat +"two children"" → the words that stay, and the parts that were asked for by sign. */
export function bySign(line) {
  const parts = [];
  const words = line.replace(/(^|\s)([-+])(?:"([^"]+)"|([^\s"]\S*))/g, (_all, before, sign, quoted, bare) => {
    parts.push({ not: sign === "-", text: (quoted ?? bare).trim() });
    return before;
  });
  return { words: words.replace(/\s+/g, " ").trim(), parts: parts.filter((part) => part.text) };
}

export const asked = (state) => [...(state.words ? [{ not: false, text: state.words }] : []), ...state.parts];

const sent = (part) => {
  if (part.upload) return { upload: part.upload.id };
  if (part.moment) return { moment: { file: part.moment.file, start: part.moment.start, end: part.moment.end } };
  return { text: part.text };
};

/** The body of a search. */
export function query(state, k, offset) {
  const parts = asked(state);
  const where = {};
  for (const name of ["folder", "since", "until"]) if (state.where[name]) where[name] = state.where[name];
  if (Object.keys(state.where.details).length) where.details = state.where.details;
  return {
    all: parts.filter((p) => !p.not).map(sent),
    none: parts.filter((p) => p.not).map(sent),
    kind: state.kind,
    k,
    offset,
    where,
  };
}

export function narrowed(state) {
  const { folder, since, until, details } = state.where;
  return (
    Number(Boolean(folder)) +
    Number(Boolean(since || until)) +
    Object.values(details).reduce((n, values) => n + values.length, 0)
  );
}

export const title = (part) => part.text ?? part.upload?.name ?? `like ${part.moment.name}`;

/** The query in words: what an export and a heading call it. */
export const inWords = (state) =>
  asked(state)
    .map((part) => (part.not ? `not ${title(part)}` : title(part)))
    .join(", ");
