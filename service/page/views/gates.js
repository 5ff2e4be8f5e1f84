/** A tensor's lane: a line of the mean with its spread, and below it a heat map of the units in view. Scales are fixed. */
import { html, svg, drawing } from "../dom.js";
import { quantile } from "../numbers.js";
import { css } from "../palette.js";
import { words } from "../words.js";

const LINE = 34;
const ROWS = 84;

/** How each tensor is coloured, and between which numbers: never by the text at hand. */
export const LANES = {
  forget_gate: { low: 0, high: 1, colour: "forget" },
  input_gate: { low: 0, high: 1, colour: "input" },
  cell_gate: { low: -1, high: 1, colour: "candidate" },
  cell_state: { low: -2, high: 2, colour: "ink" },
  output_gate: { low: 0, high: 1, colour: "output" },
  hidden_state: { low: -1, high: 1, colour: "ink" },
};

const rowHeight = (frame) => Math.max(1.3125, Math.min(6, ROWS / Math.max(1, frame.units.length)));

export function draw(frame, name) {
  const { axis } = frame;
  const { low, high, colour } = LANES[name];
  const picture = drawing(axis.width, LINE + 8, words("mean_spread"));
  const y = (value) => 4 + ((high - Math.max(low, Math.min(high, value))) / (high - low)) * LINE;
  for (const value of new Set([low, 0, high]))
    picture.append(svg("line", { x1: 2, x2: axis.width - 10, y1: y(value), y2: y(value), class: "axis" }));
  const columns = axis.timesteps.map((t) => spread(frame, name, t)).filter(Boolean);
  if (columns.length) {
    const upper = columns.map(({ t, ninth }) => [axis.middle(t), y(ninth)]);
    const lower = columns.map(({ t, tenth }) => [axis.middle(t), y(tenth)]).reverse();
    picture.append(
      svg("path", { d: `M${[...upper, ...lower].join("L")}Z`, class: "spread", fill: `var(--${colour})` }),
      svg("path", { d: `M${columns.map(({ t, mean }) => [axis.middle(t), y(mean)]).join("L")}`, class: "mean", stroke: `var(--${colour})` }),
    ); // prettier-ignore
  }
  return frame.state.gates ? [picture, heat(frame, name)] : [picture];
}

function spread(frame, name, t) {
  const values = frame.units.map((u) => frame.part.tensors.at(name, t, u)).filter((value) => value !== undefined);
  if (!values.length) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  values.sort((a, b) => a - b);
  return { t, mean, tenth: quantile(values, 0.1), ninth: quantile(values, 0.9) };
}

function heat(frame, name) {
  const { axis, units, part } = frame;
  const each = rowHeight(frame);
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const height = Math.ceil(units.length * each);
  const canvas = html("canvas", {
    class: "heat", width: Math.ceil(axis.width * ratio), height: Math.ceil(height * ratio), role: "img",
    "aria-label": `${words(name)}: ${words("made_of_units", { count: units.length })}`,
  }); // prettier-ignore
  canvas.style.width = `${Math.ceil(axis.width)}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.imageSmoothingEnabled = false; // a column of the small picture becomes a token's column
  const small = pixels(frame, name);
  axis.timesteps.forEach((t, n) =>
    context.drawImage(small, n, 0, 1, units.length, axis.left(t) + 0.75, 0, axis.span(t) - 1.5, units.length * each),
  );
  const chosen = units.indexOf(frame.state.unit);
  if (chosen >= 0) {
    context.strokeStyle = css(frame.view.palette.ink);
    context.strokeRect(axis.left(axis.first) + 0.5, chosen * each - 0.5, axis.width - 13, each + 1);
  }
  return canvas;
}

/** One pixel a token and unit. */
function pixels({ axis, units, part, view }, name) {
  const paint = painter(name, view.palette);
  const canvas = html("canvas", { width: axis.timesteps.length, height: Math.max(1, units.length) });
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  let at = 0;
  for (const unit of units)
    for (const t of axis.timesteps) {
      const value = part.tensors.at(name, t, unit);
      if (value !== undefined) {
        const { rgb, alpha } = paint(value);
        image.data.set(rgb, at);
        image.data[at + 3] = 255 * alpha;
      }
      at += 4;
    }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A value's colour and how strong it is: a gate's own, stronger towards 1; of a signed tensor teal above zero, coral below. */
function painter(name, palette) {
  const { low, high, colour } = LANES[name];
  const [above, below] = low === 0 ? [palette[colour], palette[colour]] : [palette.pos, palette.neg];
  return (value) => ({ rgb: value < 0 ? below : above, alpha: 0.03 + 0.94 * Math.min(1, Math.abs(value) / high) });
}

/** The unit under a height of the heat map, or null. */
export function unitUnder(frame, offset) {
  return frame.units[Math.floor(offset / rowHeight(frame))] ?? null;
}

/** The fixed scale of a lane, as a small drawing. */
export function legend(name, palette) {
  const { low, high } = LANES[name];
  const paint = painter(name, palette);
  const picture = svg("svg", { width: 104, height: 12, viewBox: "0 0 104 12", class: "legend", role: "img" });
  picture.setAttribute("aria-label", `${low} … ${high}`);
  const steps = 12;
  picture.append(svg("text", { x: 0, y: 10, class: "tiny muted" }, String(low).replace("-", "−")));
  for (let n = 0; n < steps; n++) {
    const value = low + ((high - low) * (n + 0.5)) / steps;
    const { rgb, alpha } = paint(value);
    picture.append(svg("rect", { x: 16 + n * 5.5, y: 1, width: 5.6, height: 10, fill: css(rgb, alpha) }));
  }
  picture.append(svg("text", { x: 86, y: 10, class: "tiny muted" }, name === "cell_state" ? `${high} +` : String(high)));
  return picture;
}
