// The page: its state, and what follows from a change of it.
import * as api from "./api.js";
import * as beginning from "./beginning.js";
import * as box from "./box.js";
import * as changes from "./changes.js";
import { $ } from "./dom.js";
import { counted } from "./format.js";
import * as filters from "./filters.js";
import * as intake from "./intake.js";
import * as keys from "./keys.js";
import * as map from "./map.js";
import { calm, say, trouble, wait } from "./notices.js";
import { hush } from "./player.js";
import * as recorder from "./recorder.js";
import * as results from "./results.js";
import * as signIn from "./sign-in.js";
import { KINDS, address, asked, blank, fromAddress, inWords, query } from "./state.js";
import * as themes from "./themes.js";

const PAGE = 20; // hits asked for at once
let about = null;
let state = blank();
let running = null; // AbortController of the search on its way
let append = null; // what adds further hits to those shown
let offset = 0;
let turn = 0; // counts what the page was asked to show, so that a late answer is not shown over a newer one

/** Changes what is looked for: address, box, filters, answer. */
function go(change, { remember = true } = {}) {
  state = { ...state, ...change };
  const to = address(state);
  if (remember && to !== location.pathname + location.search) history.pushState(null, "", to);
  show();
}

function drawAround() {
  document.title =
    state.view === "map" ? "Map · LookHear" : asked(state).length ? `${inWords(state)} · LookHear` : "LookHear";
  document.querySelector(`#kinds input[value="${state.kind}"]`).checked = true;
  $("#to-map").setAttribute("aria-current", state.view === "map" ? "page" : "false");
  const begun = state.view === "search" && asked(state).length > 0;
  document.body.classList.toggle("begun", begun);
  document.body.classList.toggle("mapping", state.view === "map");
  box.render(state, partChanges);
  filters.render(begun ? about : null, state, filterChanges);
}

function show() {
  turn += 1;
  running?.abort();
  hush();
  calm();
  drawAround();
  if (state.view === "map") {
    results.clear();
    const mine = turn;
    map.render({ like }, () => mine === turn, show);
  } else if (!asked(state).length) {
    results.clear();
    beginning.render(about, { like, search });
  } else find();
}

async function find(from = 0) {
  const wanted = query(state, Math.min(PAGE, about?.limits?.page ?? PAGE), from);
  if (!wanted.all.length) {
    results.clear();
    trouble(
      Object.assign(new Error("A search needs something to look for"), {
        fix: "Only what to leave out is given: add a word, a picture or a sound that is wanted.",
      }),
    );
    return;
  }
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  $("#results").setAttribute("aria-busy", "true");
  const done = wait(
    about?.counts?.segments ? `Listening through ${counted(about.counts.segments, "segment")}…` : "Listening…",
  );
  try {
    const answer = await api.search(wanted, signal);
    offset = from + answer.hits.length;
    if (from) more(answer);
    else {
      append = results.render(state, answer, { like, search, more: () => find(offset) });
      say(
        answer.hits.length
          ? `${counted(answer.hits.length, "hit")}${answer.more ? ", and there are more" : ""}.`
          : `No ${state.kind} found.`,
      );
    }
  } catch (error) {
    if (!signal.aborted) failed(error, from);
  } finally {
    done();
    if (running.signal === signal) $("#results").setAttribute("aria-busy", "false");
  }
}

function more(answer) {
  const [first] = append(answer);
  say(`${counted(answer.hits.length, "more hit")}.`);
  first?.focus({ preventScroll: true });
}

function failed(error, from) {
  if (error.status === 401) return signIn.ask();
  if (!from) results.clear();
  if (error.status === 404 && error.more.upload) forgotten(error);
  else trouble(error, () => find(from));
}

/** The service keeps what was dropped or spoken for a while alone. */
function forgotten(error) {
  error.fix = "Drop the picture or the recording again; the service keeps what it is given for a while only.";
  const parts = state.parts.filter((part) => part.upload?.id !== error.more.upload);
  const rest = asked({ ...state, parts }).some((part) => !part.not);
  trouble(error, rest ? () => search({ parts }) : null, "Search without it");
}

const search = (change) => go({ view: "search", ...change });

/** More like a hit, a point of the map or an example: it alone is the query; what was asked before is one step back. */
function like(hit) {
  $("#words").value = "";
  const moment = { file: hit.file, start: hit.start, end: hit.end, name: hit.name };
  search({ words: "", parts: [{ not: false, moment }] });
  scrollTo({ top: 0 });
  $("#words").focus({ preventScroll: true });
}

const partChanges = changes.ofParts(() => state, search);
const filterChanges = changes.ofFilters(() => state, go, drawAround);

async function take(file) {
  const part = await intake.send(
    file,
    () => about,
    () => take(file),
  );
  if (part) search({ parts: [...state.parts, part] });
}

async function start() {
  try {
    about = await api.about();
  } catch (error) {
    if (error.status === 401) signIn.ask();
    else trouble(error, start);
    return;
  }
  $("#archive").replaceChildren(
    Object.assign(document.createElement("b"), { textContent: about.title }),
    ` ${beginning.holdings(about)}`,
  );
  intake.accept(about);
  show();
}

if (matchMedia("(max-width: 760px)").matches) $("#words").placeholder = "Type, show or say it";
$("#kinds").addEventListener("change", (event) => search({ kind: event.target.value }));
$("#home").addEventListener("click", (event) => {
  event.preventDefault();
  $("#words").value = "";
  go(blank());
  $("#words").focus();
});
$("#to-map").addEventListener("click", (event) => {
  event.preventDefault();
  go({ view: "map" });
});
addEventListener("popstate", () => {
  state = fromAddress(location.search);
  show();
});
box.listen(partChanges, () => about?.limits?.characters);
filters.listen();
intake.listen(take);
recorder.listen(take);
signIn.listen(start);
themes.listen();
keys.listen({ like, kind: (i) => search({ kind: KINDS[i] }) });
state = fromAddress(location.search);
start();
