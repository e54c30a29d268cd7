// What the search box and the filters change of what is looked for.
import { blank } from "./state.js";

/** get: () → state; search: (change) → none. */
export function ofParts(get, search) {
  return {
    words: (words, parts) => search({ words, parts: [...get().parts, ...parts] }),
    turn: (i) => search({ parts: get().parts.map((part, j) => (j === i ? { ...part, not: !part.not } : part)) }),
    drop: (i) => search({ parts: get().parts.filter((_part, j) => j !== i) }),
    take() {
      const part = get().parts.at(-1);
      if (part) search({ words: "", parts: get().parts.slice(0, -1) });
      return part;
    },
  };
}

/** go: as search; redraw: draws the filters again. */
export function ofFilters(get, go, redraw) {
  return {
    detail(column, value, on) {
      const { where } = get();
      const { [column]: had = [], ...others } = where.details;
      const has = on ? [...had, value] : had.filter((one) => one !== value);
      go({ where: { ...where, details: has.length ? { ...others, [column]: has } : others } });
    },
    where: (name, value) => go({ where: { ...get().where, [name]: value } }),
    clear: () => go({ where: blank().where }),
    redraw,
  };
}
