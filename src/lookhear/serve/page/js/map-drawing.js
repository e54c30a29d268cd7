// The canvas of the map: where points lie on it, how they look, which is nearest.

const MARGIN = 22; // pixels
export const LOOKS = {
  audio: { name: "segments of recordings", colour: "--accent" },
  image: { name: "pictures", colour: "--second" },
  text: { name: "texts", colour: "--soft" },
};

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function mark(pen, modality, x, y, r) {
  pen.beginPath();
  if (modality === "image") pen.rect(x - r, y - r, 2 * r, 2 * r);
  else if (modality === "text") {
    pen.moveTo(x, y - 1.2 * r);
    pen.lineTo(x + 1.2 * r, y + r);
    pen.lineTo(x - 1.2 * r, y + r);
    pen.closePath();
  } else pen.arc(x, y, r, 0, 2 * Math.PI);
}

export class Drawing {
  /** points: [{x, y, modality}, …] in any units; they are fitted to the canvas with one scale for both axes. */
  constructor(canvas, points) {
    this.canvas = canvas;
    this.points = points;
    this.at = -1;
    this.zoom = { by: 1, x: 0.5, y: 0.5 };
    const span = (axis) =>
      points.reduce(([low, high], p) => [Math.min(low, p[axis]), Math.max(high, p[axis])], [Infinity, -Infinity]);
    [this.left, this.right] = span("x");
    [this.bottom, this.top] = span("y");
  }

  resize() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.width = width;
    this.height = height;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    this.draw();
  }

  /** Pixels of a point. */
  place(point) {
    const across = (point.x - this.left) / (this.right - this.left || 1);
    const up = (point.y - this.bottom) / (this.top - this.bottom || 1);
    return [
      this.width / 2 + (across - this.zoom.x) * this.zoom.by * (this.width - 2 * MARGIN),
      this.height / 2 - (up - this.zoom.y) * this.zoom.by * (this.height - 2 * MARGIN),
    ];
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, this.width, this.height);
    const size = Math.min(6, (this.points.length > 1500 ? 2.4 : 3.6) * Math.sqrt(this.zoom.by));
    pen.globalAlpha = this.points.length > 1500 ? 0.5 : 0.66;
    for (const modality of ["text", "image", "audio"]) {
      pen.fillStyle = colour(LOOKS[modality].colour);
      for (const point of this.points) {
        if (point.modality !== modality) continue;
        const [x, y] = this.place(point);
        mark(pen, modality, x, y, size);
        pen.fill();
      }
    }
    pen.globalAlpha = 1;
    if (this.at < 0) return;
    const point = this.points[this.at];
    const [x, y] = this.place(point);
    pen.fillStyle = colour(LOOKS[point.modality].colour);
    pen.strokeStyle = colour("--ink");
    pen.lineWidth = 2;
    mark(pen, point.modality, x, y, size + 3.5);
    pen.fill();
    pen.stroke();
  }

  /** The number of the point nearest to a pixel, at most `within` pixels away; else -1. */
  near(x, y, within = 16) {
    let best = -1;
    let least = within * within;
    this.points.forEach((point, i) => {
      const [px, py] = this.place(point);
      const away = (px - x) ** 2 + (py - y) ** 2;
      if (away < least) {
        least = away;
        best = i;
      }
    });
    return best;
  }

  /** The nearest point in a direction, as an arrow key asks for it: what lies aside counts three times as far. */
  towards(dx, dy) {
    if (this.at < 0) return this.near(this.width / 2, this.height / 2, Infinity);
    const [x, y] = this.place(this.points[this.at]);
    let best = this.at;
    let least = Infinity;
    this.points.forEach((point, i) => {
      const [px, py] = this.place(point);
      const along = (px - x) * dx + (py - y) * dy;
      const aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
      if (i !== this.at && along > 0.5 && aside <= 2 * along && along + 3 * aside < least) {
        least = along + 3 * aside;
        best = i;
      }
    });
    return best;
  }

  /** Nearer or farther, around a pixel. */
  magnify(factor, x = this.width / 2, y = this.height / 2) {
    const by = Math.min(12, Math.max(1, this.zoom.by * factor));
    const shift = (at, full, side) => (at / (full - 2 * MARGIN)) * (1 / this.zoom.by - 1 / by) * side;
    const held = (low, value) => Math.min(1 - low, Math.max(low, value));
    const half = 0.5 / by;
    this.zoom = {
      by,
      x: held(half, this.zoom.x + shift(x - this.width / 2, this.width, 1)),
      y: held(half, this.zoom.y + shift(y - this.height / 2, this.height, -1)),
    };
    this.draw();
  }

  /** Keeps the chosen point in sight when zoomed. */
  follow() {
    const [x, y] = this.place(this.points[this.at]);
    if (x >= 0 && x <= this.width && y >= 0 && y <= this.height) return;
    const point = this.points[this.at];
    this.zoom.x = (point.x - this.left) / (this.right - this.left || 1);
    this.zoom.y = (point.y - this.bottom) / (this.top - this.bottom || 1);
  }
}
