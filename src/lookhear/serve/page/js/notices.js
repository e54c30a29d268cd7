// What is going on: said to screen readers, shown while slow, and shown with a way on when something fails.
import { $, button, make } from "./dom.js";
import { alive } from "./api.js";

const SLOW = 400; // milliseconds before waiting is spoken of
const AGAIN = 2500; // milliseconds between looks whether the service is back
let knocking = 0;

export function say(words) {
  const live = $("#live");
  live.textContent = "";
  setTimeout(() => {
    live.textContent = words;
  }, 30); // the same words twice are read twice
}

/** Shows `words` if the work is not done in 400 ms. Returns what ends the waiting. */
export function wait(words) {
  const timer = setTimeout(() => {
    $("#wait-words").textContent = words;
    $("#wait").hidden = false;
    say(words);
  }, SLOW);
  return () => {
    clearTimeout(timer);
    $("#wait").hidden = true;
  };
}

export function calm() {
  clearTimeout(knocking);
  $("#problem").hidden = true;
  $("#problem").replaceChildren();
}

/** With a capital, unless it begins with the name of a file. */
const sentence = (words) => (/^[a-z]+[\s,]/.test(words) ? words.charAt(0).toUpperCase() + words.slice(1) : words);

/** error: a Refusal, or a plain Error. again: the way on, if there is one; how it is called. */
export function trouble(error, again = null, way = "Try again") {
  calm();
  const ways = [];
  if (again)
    ways.push(
      button(
        way,
        null,
        () => {
          calm();
          again();
        },
        { class: "go" },
      ),
    );
  ways.push(button("Put away", null, calm, { class: "plain" }));
  $("#problem").replaceChildren(
    make("h2", { text: sentence(error.message) }),
    make("p", { text: sentence(error.fix ?? "") }),
    make("div", { class: "acts" }, ...ways),
  );
  $("#problem").hidden = false;
  if (error.status === 0 && again) knock(again);
}

/** The service is gone: look for it every few seconds, and go on by itself when it is back. */
function knock(again) {
  knocking = setTimeout(async () => {
    try {
      await alive();
    } catch {
      knock(again);
      return;
    }
    calm();
    say("The service is back.");
    again();
  }, AGAIN);
}
