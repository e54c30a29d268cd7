// Before the first paint, so that a chosen theme does not flash in after the other: the one script that is no module.
"use strict";
try {
  const chosen = localStorage.getItem("lookhear-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  /* storage is switched off: the system's theme */
}
