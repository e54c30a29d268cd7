// One sound at a time, whoever plays it.

let current = null;

/** Anything that can be hushed: {pause()}. */
export function takeTurn(sound) {
  if (current && current !== sound) current.pause();
  current = sound;
}

export function hush() {
  current?.pause();
}

export const isPlaying = () => Boolean(current?.playing);

/** A stretch of a recording: fetched when first played; can be played from anywhere to anywhere in it. */
export class Stretch {
  #ready = null;
  #stop = Infinity;
  #watch = 0;

  /** fetch_: () → Promise<Blob>. start: where in the recording the stretch begins, seconds. */
  constructor(fetch_, start) {
    this.fetch_ = fetch_;
    this.start = start;
    this.audio = new Audio();
    this.audio.preload = "none";
    this.audio.addEventListener("pause", () => cancelAnimationFrame(this.#watch));
  }

  get playing() {
    return !this.audio.paused && !this.audio.ended;
  }

  async #load() {
    const blob = await this.fetch_();
    const loaded = new Promise((done, fail) => {
      this.audio.addEventListener("loadedmetadata", done, { once: true });
      this.audio.addEventListener("error", () => fail(new Error("This stretch cannot be played by the browser")), {
        once: true,
      });
    });
    this.url = URL.createObjectURL(blob);
    this.audio.src = this.url;
    this.audio.load();
    await loaded;
  }

  /** from, to: seconds of the recording; from null goes on where it was. */
  async play(from = null, to = Infinity) {
    takeTurn(this);
    this.#ready ??= this.#load();
    try {
      await this.#ready;
    } catch (error) {
      this.#ready = null; // another try may have better luck
      throw error;
    }
    if (current !== this) return;
    if (from !== null) this.audio.currentTime = Math.max(0, from - this.start);
    this.#stop = to - this.start;
    await this.audio.play();
    this.#follow();
  }

  /** Stops at the moment's end more exactly than timeupdate, which comes four times a second, would. */
  #follow() {
    cancelAnimationFrame(this.#watch);
    const look = () => {
      if (this.audio.currentTime >= this.#stop) this.audio.pause();
      else if (!this.audio.paused) this.#watch = requestAnimationFrame(look);
    };
    this.#watch = requestAnimationFrame(look);
  }

  pause() {
    this.audio.pause();
  }

  forget() {
    this.pause();
    if (this.url) URL.revokeObjectURL(this.url);
  }
}
