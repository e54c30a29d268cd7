// The map as a list, for whoever has no use for a picture of dots.
import { button, make } from "./dom.js";
import { called, counted } from "./format.js";

const PAGE = 50;

/** hear(point, number) plays a point. */
export function list(points, act, hear) {
  const rows = make("ol", { class: "map-rows" });
  const more = button("Load more", null, () => grow(), { class: "plain" });
  const told = make("span", { class: "soft", role: "status" });
  const narrow = make("input", {
    type: "search",
    placeholder: "part of a name",
    "aria-label": "Only names with",
    oninput: () => fill(),
  });
  const numbered = points
    .map((point, i) => ({ point, i }))
    .sort((a, b) => a.point.name.localeCompare(b.point.name) || a.point.start - b.point.start);
  let matching = numbered;
  const row = ({ point, i }) =>
    make(
      "li",
      {},
      point.modality === "audio"
        ? button(`Hear ${called(point)}`, "play", () => hear(point, i), { class: "round", shown: false })
        : make("span", { class: "round none" }),
      make("span", { class: "name", text: called(point) }),
      button("More like this", "like", () => act.like(point), { class: "act" }),
    );
  const grow = () => {
    const from = rows.childElementCount;
    rows.append(...matching.slice(from, from + PAGE).map(row));
    more.hidden = rows.childElementCount >= matching.length;
  };
  const fill = () => {
    const wanted = narrow.value.trim().toLocaleLowerCase();
    matching = numbered.filter(({ point }) => point.name.toLocaleLowerCase().includes(wanted));
    told.textContent = counted(matching.length, "point");
    rows.replaceChildren();
    grow();
  };
  const whole = make(
    "details",
    { class: "as-list" },
    make("summary", { text: "The map as a list" }),
    make("div", { class: "narrowing" }, narrow, told),
    rows,
    more,
  );
  whole.addEventListener("toggle", () => {
    if (whole.open && !rows.childElementCount) fill();
  });
  return whole;
}
