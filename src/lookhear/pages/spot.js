(() => {
  const tables = [...document.querySelectorAll("table.found")];
  const all = [...document.querySelectorAll("[data-worth]")];
  const chips = [...document.querySelectorAll(".chip")];
  const slider = document.querySelector(".least input");
  const choose = () => {
    const off = new Set(chips.filter((c) => c.getAttribute("aria-pressed") === "false").map((c) => c.dataset.word));
    const least = slider ? Number(slider.value) - 0.0006 : -Infinity;
    all.forEach((e) => { e.hidden = off.has(e.dataset.word) || Number(e.dataset.worth) < least; });
    document.querySelectorAll(".lane").forEach((e) => { e.hidden = off.has(e.dataset.word); });
    if (slider) slider.nextElementSibling.value = slider.dataset.percent === "1" ? `${Math.round(100 * slider.value)} %` : Number(slider.value).toFixed(2);
  };
  chips.forEach((chip) => chip.addEventListener("click", () => {
    chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
    choose();
  }));
  if (slider) slider.addEventListener("input", choose);
  choose();
  tables.forEach((table) => {
    const body = table.tBodies[0];
    table.querySelectorAll("thead button").forEach((button) => button.addEventListener("click", () => {
      const head = button.closest("th"), key = button.dataset.key, was = head.getAttribute("aria-sort");
      const up = was === "none" ? key !== "worth" : was === "descending";
      table.querySelectorAll("th[aria-sort]").forEach((h) => h.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const by = (row) => Number(row.dataset[key]);
      [...body.rows]
        .sort((a, b) => (up ? 1 : -1) * (by(a) - by(b)) || a.dataset.start - b.dataset.start)
        .forEach((row) => body.append(row));
    }));
  });
})();
