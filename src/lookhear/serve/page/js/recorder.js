// A spoken query: the microphone, recorded as WAV.
import { $ } from "./dom.js";
import { hush } from "./player.js";
import { say, trouble } from "./notices.js";
import { wav } from "./wav.js";

const LONGEST = 15; // seconds; a query, not a talk
let spoken = 0; // how many so far, for their names

const WHY = {
  NotAllowedError: [
    "The microphone is not allowed here",
    "Allow it in the browser's address bar, or drop a recording.",
  ],
  NotFoundError: ["No microphone was found", "Plug one in, or drop a recording."],
  NotReadableError: ["Another program holds the microphone", "Close it and try again, or drop a recording."],
};

class Take {
  pieces = [];

  async start(heard) {
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false } });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("/static/js/recorder-worklet.js");
    const listener = new AudioWorkletNode(this.context, "listener", { numberOfOutputs: 0 });
    listener.port.onmessage = ({ data }) => {
      this.pieces.push(data);
      heard(data, this.seconds);
    };
    this.context.createMediaStreamSource(this.stream).connect(listener);
  }

  get seconds() {
    return (2048 * this.pieces.length) / this.context.sampleRate;
  }

  async end() {
    this.stream?.getTracks().forEach((track) => track.stop());
    if (this.context?.state !== "closed") await this.context?.close();
  }
}

function drawLevel(canvas, piece) {
  const pen = canvas.getContext("2d");
  const loud = Math.min(1, 4 * Math.sqrt(piece.reduce((sum, x) => sum + x * x, 0) / piece.length));
  pen.globalCompositeOperation = "copy"; // one step to the left, and the newest at the right
  pen.drawImage(canvas, -3, 0);
  pen.globalCompositeOperation = "source-over";
  pen.fillStyle = getComputedStyle(canvas).color;
  const height = Math.max(2, loud * canvas.height);
  pen.fillRect(canvas.width - 3, (canvas.height - height) / 2, 2, height);
}

const instead = (error, fix) => trouble(Object.assign(error, { fix }), () => $("#file").click(), "Choose a recording");

/** `take(file)` gets each spoken query. */
export function listen(take) {
  const panel = $("#speaking");
  let now = null;
  const over = async (keep) => {
    const done = now;
    now = null;
    panel.hidden = true;
    $("#speak").setAttribute("aria-pressed", "false");
    if (!done) return;
    const { seconds, pieces } = done;
    const rate = done.context.sampleRate;
    await done.end();
    if (!keep) {
      say("Nothing kept.");
      $("#speak").focus();
      return;
    }
    if (seconds < 0.2) {
      trouble(Object.assign(new Error("Nothing was heard"), { fix: "Speak a little longer." }), begin);
      return;
    }
    spoken += 1;
    take(new File([wav(pieces, rate)], spoken === 1 ? "spoken.wav" : `spoken ${spoken}.wav`, { type: "audio/wav" }));
  };
  const begin = async () => {
    hush();
    if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) {
      const fix = "Browsers open it only on this machine itself or over https. Drop a recording instead.";
      instead(new Error("The microphone is out of reach"), fix);
      return;
    }
    const made = new Take();
    $("#speak").disabled = true; // while the browser asks whether it may
    try {
      await made.start((piece, seconds) => {
        if (now !== made) return;
        $("#spoken").textContent = `${seconds.toFixed(1)} s`;
        drawLevel($("#level"), piece);
        if (seconds >= LONGEST) over(true);
      });
    } catch (error) {
      await made.end();
      const [what, fix] = WHY[error.name] ?? [
        `The microphone cannot be used (${error.name})`,
        "Drop a recording instead.",
      ];
      instead(new Error(what), fix);
      return;
    } finally {
      $("#speak").disabled = false;
    }
    now = made;
    $("#spoken").textContent = "0.0 s";
    panel.hidden = false;
    $("#speak").setAttribute("aria-pressed", "true");
    say("Listening. Press Enter when you have spoken, Escape to cancel.");
    $("#spoken-done").focus();
  };
  $("#speak").addEventListener("click", () => (now ? over(true) : begin()));
  $("#spoken-done").addEventListener("click", () => over(true));
  $("#hush").addEventListener("click", () => over(false));
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      over(false);
    }
  });
}
