/** One point a unit: how often a gate of it is nearly shut, and how often nearly open. A box keeps those units alone. */
import { html, svg } from "../dom.js";
import { isBrushed } from "../answers.js";
import { words } from "../words.js";

const [LEFT, RIGHT, TOP, BOTTOM, WIDTH, HEIGHT] = [36, 328, 10, 170, 344, 206];
const x = (low) => LEFT + low * (RIGHT - LEFT);
const y = (high) => BOTTOM - high * (BOTTOM - TOP);
const clamp = (value) => Math.max(0, Math.min(1, value));
const COLOURS = { input_gate: "input", forget_gate: "forget", output_gate: "output", cell_gate: "candidate", hidden_state: "ink" };

export const gatesOf = (model) => model.tensors.filter((name) => name !== "cell_state");

/** The gate of the state where the model has it. */
export const gateOf = ({ model, state }) => (gatesOf(model).includes(state.gate) ? state.gate : gatesOf(model)[0]);

export function fractions(frame, gate) {
  const { fraction_low: low, fraction_high: high } = frame.part.reductions[gate];
  return low[0][0].map((value, unit) => ({ unit, low: value, high: high[0][0][unit] }));
}

export function draw(frame, onBrush, onUnit) {
  const gate = gateOf(frame);
  const attributes = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "saturation", role: "img", "aria-label": words("saturation") };
  const picture = svg("svg", attributes);
  for (const at of [0, 0.5, 1]) {
    picture.append(svg("line", { x1: LEFT, x2: RIGHT, y1: y(at), y2: y(at), class: "axis" }));
    picture.append(svg("line", { x1: x(at), x2: x(at), y1: TOP, y2: BOTTOM, class: "axis" }));
    picture.append(svg("text", { x: LEFT - 5, y: y(at) + 4, class: "small muted end" }, at === 0.5 ? "½" : String(at)));
    if (at) picture.append(svg("text", { x: x(at), y: BOTTOM + 14, class: "small muted middle" }, at === 0.5 ? "½" : String(at)));
  }
  const [shut, open] = gate === "cell_gate" || gate === "hidden_state" ? ["−0.9", "0.9"] : ["0.1", "0.9"];
  picture.append(
    svg("text", { x: (LEFT + RIGHT) / 2, y: HEIGHT - 4, class: "small muted middle" }, words("saturation_low", { limit: shut })),
    svg("text", { x: LEFT + 6, y: TOP + 12, class: "small muted" }, words("saturation_high", { limit: open })),
  );
  const box = svg("rect", { class: "brush" });
  picture.append(box);
  if (frame.state.brush?.[0] === gate) place(box, frame.state.brush.slice(1));
  for (const { unit, low, high } of fractions(frame, gate)) {
    const isIn = isBrushed(frame.part, frame.state.brush, unit);
    const chosen = unit === frame.state.unit ? " chosen" : "";
    const shift = ((unit * 7) % 11) / 4 - 1.25; // so that units at one place are seen as several
    picture.append(
      svg("circle", {
        cx: x(low) + shift, cy: y(high) + (((unit * 5) % 11) / 4 - 1.25), r: 3, "data-unit": unit,
        class: `unit${isIn ? "" : " out"}${chosen}`, fill: `var(--${COLOURS[gate]})`,
      }),
    ); // prettier-ignore
  }
  brushing(picture, box, gate, onBrush, onUnit);
  return picture;
}

function place(box, [low0, low1, high0, high1]) {
  box.setAttribute("x", x(low0) - 4);
  box.setAttribute("width", x(low1) - x(low0) + 8);
  box.setAttribute("y", y(high1) - 4);
  box.setAttribute("height", y(high0) - y(high1) + 8);
}

function brushing(picture, box, gate, onBrush, onUnit) {
  let start = null;
  const position = (event) => {
    const area = picture.getBoundingClientRect();
    const scale = WIDTH / area.width;
    const at = [(event.clientX - area.left) * scale, (event.clientY - area.top) * scale];
    return [clamp((at[0] - LEFT) / (RIGHT - LEFT)), clamp((BOTTOM - at[1]) / (BOTTOM - TOP))];
  };
  const range = (end) => [
    Math.min(start[0], end[0]), Math.max(start[0], end[0]), Math.min(start[1], end[1]), Math.max(start[1], end[1]),
  ]; // prettier-ignore
  picture.addEventListener("pointerdown", (event) => {
    start = position(event);
    picture.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  picture.addEventListener("pointermove", (event) => start && place(box, range(position(event))));
  picture.addEventListener("pointerup", (event) => {
    if (!start) return;
    const [low0, low1, high0, high1] = range(position(event));
    start = null;
    if (low1 - low0 > 0.02 || high1 - high0 > 0.02) {
      const slack = 0.015; // the points are drawn with a width
      onBrush([gate, low0 - slack, low1 + slack, high0 - slack, high1 + slack].map((v) => (v.toFixed ? Number(v.toFixed(3)) : v)));
      return;
    }
    const under = document.elementsFromPoint(event.clientX, event.clientY).find((e) => e.matches?.("circle.unit"));
    if (under) onUnit(Number(under.dataset.unit));
    else onBrush(null);
  });
}

/** What a box does, for the keyboard. */
export function presets(gate, onBrush) {
  const button = (key, brush) => html("button", { type: "button", "data-focus": key, click: () => onBrush([gate, ...brush]) }, words(key));
  return [button("saturation_open", [0, 1, 0.5, 1]), button("saturation_shut", [0.5, 1, 0, 1])];
}
