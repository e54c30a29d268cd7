// Elements made by hand. What comes from the archive only ever becomes text or an attribute's value, never markup.

export const $ = (selector, root = document) => root.querySelector(selector);

/** make("p", {class: "soft", onclick: f, text: "…"}, child, …): null and false attributes are left out. */
export function make(tag, given = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "text") node.textContent = value;
    else if (key === "data") Object.assign(node.dataset, value);
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** One of the symbols of index.html. */
export const icon = (name) =>
  svg("svg", { "aria-hidden": "true", focusable: "false" }, svg("use", { href: `#i-${name}` }));

export function button(label, symbol, act, given = {}) {
  const { shown = true, ...rest } = given;
  return make(
    "button",
    { type: "button", onclick: act, ...rest },
    symbol ? icon(symbol) : null,
    make("span", { class: shown ? null : "unseen", text: label }),
  );
}
