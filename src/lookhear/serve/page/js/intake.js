// Pictures and recordings that are dropped, pasted or chosen: looked at, sent, and made a part of the query.
import * as api from "./api.js";
import { $ } from "./dom.js";
import { pending } from "./box.js";
import { size } from "./format.js";
import { say, trouble } from "./notices.js";
import { remember } from "./previews.js";

const another = () => $("#file").click();

/** Sends one file. about: () → what the service said of itself. Returns the part; null where it was refused. */
export async function send(file, about, again = null) {
  const most = about()?.limits?.upload_bytes;
  const name = file.name || "pasted picture";
  if (most && file.size > most) {
    const fix = `It has ${size(file.size)}; the service takes ${size(most)} at most.`;
    trouble(new api.Refusal(413, `${name} is too large`, fix), another, "Choose another");
    return null;
  }
  const stop = new AbortController();
  const done = pending(name, () => stop.abort());
  say(`Sending ${name}.`);
  try {
    const upload = await api.upload(file, name, stop.signal);
    remember(upload.id, file, upload.modality);
    return { not: false, upload: { id: upload.id, modality: upload.modality, name: upload.name || name } };
  } catch (error) {
    if (error.name === "AbortError") return null;
    if (error.status === 415) {
      const { audio = [], image = [] } = about()?.endings ?? {};
      if (audio.length + image.length) error.fix = `${error.fix} It reads ${[...image, ...audio].join(" ")}.`;
    }
    if (error.status === 0 || error.status >= 429) trouble(error, again);
    else trouble(error, another, "Choose another");
    return null;
  } finally {
    done();
  }
}

/** Wires dropping, pasting and choosing; `take(file)` gets each. */
export function listen(take) {
  const veil = $("#drop");
  let depth = 0; // dragenter and dragleave come for every element on the way
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const enough = () => {
    depth = 0;
    veil.hidden = true;
  };
  document.addEventListener("dragenter", (event) => {
    if (carries(event)) {
      depth += 1;
      veil.hidden = false;
    }
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (!depth) veil.hidden = true;
  });
  document.addEventListener("dragover", (event) => {
    if (carries(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    enough();
    for (const file of event.dataTransfer.files) take(file);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    files.forEach(take);
  });
  const chooser = $("#file");
  $("#choose-file").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    [...chooser.files].forEach(take);
    chooser.value = "";
  });
}

export function accept(about) {
  const { audio = [], image = [] } = about.endings ?? {};
  $("#file").accept = [...image, ...audio, "image/*", "audio/*"].join(",");
}
