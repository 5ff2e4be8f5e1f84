/** A long text whole: a bar a token, and the frame of the window that the lanes show; drag or arrow keys move it. */
import { html } from "../dom.js";
import { push } from "../frame.js";
import { css } from "../palette.js";
import { WINDOW } from "../questions.js";
import { words } from "../words.js";

const HEIGHT = 34;

export function draw(frame, onMove) {
  const total = frame.tokens.length;
  const { first, last } = frame.axis;
  const range = { from: first + 1, to: last, total };
  const slider = html("div", {
    class: "overview", role: "slider", tabindex: 0, "data-focus": "overview", "aria-label": words("overview"),
    "aria-valuemin": 0, "aria-valuemax": total - WINDOW, "aria-valuenow": first, "aria-valuetext": words("window", range),
    keydown: (event) => {
      const step = { ArrowLeft: -WINDOW / 4, ArrowRight: WINDOW / 4, PageUp: -WINDOW, PageDown: WINDOW, Home: -total, End: total }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      move(first + step);
    },
  }); // prettier-ignore
  const move = (to) => onMove(Math.max(0, Math.min(total - WINDOW, Math.round(to))));
  const canvas = paint(frame);
  const shown = html("span", { class: "frame" });
  shown.style.left = `${(100 * first) / total}%`;
  shown.style.width = `${(100 * (last - first)) / total}%`;
  slider.append(canvas, shown, html("span", { class: "range" }, words("window", range)));
  const drag = (event) => {
    const area = canvas.getBoundingClientRect();
    move(((event.clientX - area.left) / area.width) * total - WINDOW / 2);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    drag(event);
  });
  canvas.addEventListener("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && drag(event));
  return slider;
}

function paint(frame) {
  const canvas = html("canvas", { width: Math.max(200, Math.floor(frame.view.room)), height: HEIGHT, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const each = canvas.width / frame.tokens.length;
  for (let t = 0; t < frame.tokens.length; t++) {
    const { colour, strength } = push(frame, t);
    const height = Math.max(1, HEIGHT * strength);
    context.fillStyle = css(frame.view.palette[colour]);
    context.fillRect(t * each, HEIGHT - height, Math.max(1, each), height);
  }
  return canvas;
}
