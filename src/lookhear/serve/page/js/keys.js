// The keyboard: between hits, and single keys that can be switched off.
import { $ } from "./dom.js";
import { hush, isPlaying } from "./player.js";
import { shownCards } from "./results.js";

const writing = (node) => node?.matches?.("input:not([type=checkbox]):not([type=radio]), select, textarea");
const allowed = () => $("#keys-on").checked;

function step(by) {
  const cards = shownCards();
  if (!cards.length) return false;
  const at = cards.indexOf(document.activeElement?.closest("#hits > li"));
  const next = at < 0 ? 0 : Math.min(cards.length - 1, at + by);
  if (at === 0 && by < 0) {
    $("#words").focus();
    return true;
  }
  cards[next].focus();
  cards[next].scrollIntoView({ block: "nearest" });
  return true;
}

/** How many tiles a row of the wall has beside the one in focus: down goes to the tile under it. */
function below(card, by) {
  const cards = shownCards();
  const at = cards.indexOf(card);
  const here = card.getBoundingClientRect();
  const middle = here.left + here.width / 2;
  let best = null;
  for (let i = at + by; i >= 0 && i < cards.length; i += by) {
    const box = cards[i].getBoundingClientRect();
    if (box.top === here.top) continue;
    if (best && box.top !== best.top) break;
    const away = Math.abs(box.left + box.width / 2 - middle);
    if (!best || away < best.away) best = { away, top: box.top, i };
  }
  return best ? best.i - at : by;
}

function onHit(event, card, act) {
  const wall = card.classList.contains("tile");
  const straight = event.target === card; // not on one of its buttons, which have their own Enter and space
  const does = {
    ArrowDown: () => step(wall ? below(card, 1) : 1),
    ArrowUp: () => step(wall ? below(card, -1) : -1),
    ArrowRight: wall ? () => step(1) : null,
    ArrowLeft: wall ? () => step(-1) : null,
    Enter: straight ? () => card.open() : null,
    " ": straight ? () => card.toggle() : null,
    x: allowed() ? () => card.tick.click() : null,
    m: allowed() ? () => act.like(card.hit) : null,
  }[event.key];
  if (!does) return false;
  does();
  return true;
}

/** act: {like(hit), kind(i)}. */
export function listen(act) {
  document.addEventListener("keydown", (event) => {
    if (
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      event.defaultPrevented ||
      document.querySelector("dialog[open]")
    )
      return;
    const target = event.target;
    const card = target.closest?.("#hits > li");
    let done = false;
    if (card && !writing(target)) done = onHit(event, card, act);
    if (
      !done &&
      event.key === "ArrowDown" &&
      (target === $("#words") || target === document.body || target === $("#results"))
    )
      done = step(1);
    if (!done && event.key === "Escape") {
      done = isPlaying();
      hush();
    }
    if (!done && !writing(target) && allowed()) {
      if (event.key === "/") {
        $("#words").focus();
        $("#words").select();
        done = true;
      } else if (event.key === "?") {
        $("#help").showModal();
        done = true;
      } else if (/^[1-4]$/.test(event.key)) {
        act.kind(Number(event.key) - 1);
        done = true;
      }
    }
    if (done) event.preventDefault();
  });
  const on = $("#keys-on");
  try {
    on.checked = localStorage.getItem("lookhear-keys") !== "off";
  } catch {
    /* storage is switched off */
  }
  on.addEventListener("change", () => {
    try {
      localStorage.setItem("lookhear-keys", on.checked ? "on" : "off");
    } catch {
      /* as above */
    }
  });
  $("#to-help").addEventListener("click", () => $("#help").showModal());
}
