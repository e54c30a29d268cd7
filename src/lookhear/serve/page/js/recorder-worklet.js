// Runs on the audio thread: hands over what the microphone hears, one channel, in pieces of 2048 samples.
class Listener extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(2048);
    this.filled = 0;
  }

  process([input]) {
    if (!input.length) return true;
    for (const sample of input[0]) {
      this.piece[this.filled++] = sample;
      if (this.filled === this.piece.length) {
        this.port.postMessage(this.piece);
        this.piece = new Float32Array(2048);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("listener", Listener);
