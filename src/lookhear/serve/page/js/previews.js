// What was dropped or spoken in this tab, for its chips: the service keeps only its vectors.
import { Stretch } from "./player.js";

const kept = new Map(); // id → {url, blob, sound}

export function remember(id, blob, modality) {
  kept.set(id, {
    url: URL.createObjectURL(blob),
    sound: modality === "recording" ? new Stretch(async () => blob, 0) : null,
  });
}

export const preview = (id) => kept.get(id)?.url ?? null;
export const sound = (id) => kept.get(id)?.sound ?? null;
