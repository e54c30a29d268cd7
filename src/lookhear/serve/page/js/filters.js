// Where to look: what the archive's rows say of themselves, as check boxes; folders; dates.
import { $, button, make } from "./dom.js";
import { count, nearby } from "./format.js";
import { narrowed } from "./state.js";

const AT_FIRST = 8; // values shown of a column before "all of them" is asked for
const DATE = "\\d{4}(-\\d{2}(-\\d{2})?)?";
const open = new Set(); // columns whose every value is shown

const heading = (column) => column.charAt(0).toUpperCase() + column.slice(1).replaceAll("_", " ");

function column(name, values, state, change) {
  const wanted = new Set(state.where.details[name] ?? []);
  const some = open.has(name) ? values : values.filter(([value], i) => i < AT_FIRST || wanted.has(String(value)));
  const rows = some.map(([value, n]) => {
    const text = String(value);
    const tick = make("input", {
      type: "checkbox",
      onchange: () => change.detail(name, text, tick.checked),
      data: { column: name, value: text },
    });
    tick.checked = wanted.has(text);
    return make(
      "label",
      { class: "value" },
      tick,
      make("span", { class: "what", text: text || "(none)" }),
      make("span", { class: "soft", text: count(n) }),
    );
  });
  const field = make("fieldset", { class: "column" }, make("legend", { text: heading(name) }), ...rows);
  if (values.length > some.length)
    field.append(
      button(
        `All ${count(values.length)}`,
        null,
        () => {
          open.add(name);
          change.redraw();
        },
        { class: "plain" },
      ),
    );
  return field;
}

function folders(list, state, change) {
  const choice = make(
    "select",
    { onchange: () => change.where("folder", choice.value || null), data: { column: "folder", value: "" } },
    make("option", { value: "", text: "all folders" }),
    ...list.map(([path, n]) => make("option", { value: path, text: `${nearby(path)}  (${count(n)})` })),
  );
  choice.value = state.where.folder ?? "";
  return make("label", { class: "column" }, make("span", { class: "legend", text: "Folder" }), choice);
}

function dates([first, last], state, change) {
  const field = (name, label, hint) => {
    const input = make("input", {
      type: "text",
      inputmode: "numeric",
      pattern: DATE,
      placeholder: hint,
      title: "a year, or a date as 1957-08-31",
      data: { column: name, value: "" },
      "aria-label": label,
      onchange: () => {
        // Later, when the focus is where Tab sends it: the filters are drawn again, and what is in focus then is kept.
        if (input.reportValidity()) setTimeout(() => change.where(name, input.value.trim()));
      },
    });
    input.value = state.where[name];
    return input;
  };
  return make(
    "fieldset",
    { class: "column dates" },
    make("legend", { text: "Dates" }),
    field("since", "Not before", String(first).slice(0, 4)),
    make("span", { class: "soft", text: "to" }),
    field("until", "Not after", String(last).slice(0, 4)),
  );
}

/** change: {detail(column, value, on), where(name, value), clear(), redraw()}. */
export function render(about, state, change) {
  const box = $("#filters");
  const held = document.activeElement?.dataset ?? {};
  const n = narrowed(state);
  const parts = [];
  if (about?.dates) parts.push(dates(about.dates, state, change));
  if (about?.folders?.length > 1) parts.push(folders(about.folders, state, change));
  for (const [name, values] of Object.entries(about?.filters ?? {}))
    if (values.length) parts.push(column(name, values, state, change));
  box.hidden = parts.length === 0;
  $("#to-filters").hidden = parts.length === 0;
  $("#to-filters").lastElementChild.textContent = n ? `Filters (${n})` : "Filters";
  $("#to-filters").classList.toggle("used", n > 0);
  box.replaceChildren(make("h2", { class: "aside-name", text: "Narrow it" }), ...parts);
  if (n) box.append(button("Clear all filters", "close", change.clear, { class: "plain" }));
  box.append(button("Show the hits", null, putAway, { class: "go done" }));
  if (held.column)
    box.querySelector(`[data-column="${CSS.escape(held.column)}"][data-value="${CSS.escape(held.value)}"]`)?.focus();
}

/** Where filters lie over the hits, on narrow screens. */
function putAway() {
  $("#filters").classList.remove("open");
  $("#to-filters").setAttribute("aria-expanded", "false");
  $("#results").focus();
}

export function listen() {
  const opener = $("#to-filters");
  opener.addEventListener("click", () => {
    const shown = $("#filters").classList.toggle("open");
    opener.setAttribute("aria-expanded", String(shown));
    if (shown) $("#filters").querySelector("input, select")?.focus();
  });
}
