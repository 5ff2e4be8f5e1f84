/** Influence against distance, on a log axis, of the networks shown and of a pair's other half. */
import { svg } from "../dom.js";
import { number } from "../numbers.js";
import { html } from "../dom.js";
import { phrase, words } from "../words.js";

const [LEFT, RIGHT, TOP, BOTTOM, WIDTH, HEIGHT] = [38, 330, 12, 152, 344, 188];

export function draw(parts) {
  const curves = parts.filter((part) => part.fading?.value.length);
  const values = curves.flatMap((part) => part.fading.value).filter((value) => value > 0);
  if (!values.length) return null;
  const lowest = Math.max(Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values))) - 12);
  const highest = Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...values))));
  const longest = Math.max(...curves.map((part) => part.fading.value.length));
  const x = (distance) => LEFT + (distance * (RIGHT - LEFT)) / Math.max(1, longest - 1);
  const y = (value) =>
    TOP + ((highest - Math.max(lowest, Math.log10(Math.max(value, 1e-300)))) / (highest - lowest)) * (BOTTOM - TOP);
  const attributes = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "fading", role: "img", "aria-label": words("fading") };
  const picture = svg("svg", attributes);
  const every = Math.ceil((highest - lowest) / 6);
  for (let e = lowest; e <= highest; e += every) {
    picture.append(svg("line", { x1: LEFT, x2: RIGHT, y1: y(10 ** e), y2: y(10 ** e), class: "axis" }), power(e, y));
  }
  for (const part of curves) {
    const points = thinned(part.fading.value, 320).map(([d, value]) => `${x(d)},${y(value)}`);
    picture.append(svg("path", { d: `M${points.join("L")}`, class: `curve ${part.model.cell}` }));
  }
  names(picture, curves, x, y);
  const label = (at, text, anchor) => svg("text", { x: at, y: BOTTOM + 16, class: `small muted ${anchor}` }, text);
  picture.append(label(LEFT, "0", "start"), label(RIGHT, String(longest - 1), "end"));
  picture.append(svg("text", { x: (LEFT + RIGHT) / 2, y: HEIGHT - 5, class: "small muted middle" }, words("fading_axis")));
  return picture;
}

function power(exponent, y) {
  const text = svg("text", { x: LEFT - 6, y: y(10 ** exponent) + 4, class: "small muted end" }, "10");
  text.append(svg("tspan", { dy: -5, class: "exponent" }, String(exponent).replace("-", "−")));
  return text;
}

/** The name of each curve where the curves are furthest apart: above the upper one, below the lower. */
function names(picture, curves, x, y) {
  const length = Math.min(...curves.map((part) => part.fading.value.length));
  const at = (part, d) => y(part.fading.value[d]);
  let place = Math.floor(length / 2);
  if (curves.length === 2) {
    const gap = (d) => Math.abs(at(curves[0], d) - at(curves[1], d));
    for (let d = Math.floor(length * 0.2); d < length * 0.75; d++) if (gap(d) > gap(place)) place = d;
  }
  const upper = curves.reduce((best, part) => (at(part, place) < at(best, place) ? part : best));
  for (const part of curves) {
    const shift = part === upper ? -8 : 17;
    const text = svg("text", { x: x(place), y: at(part, place) + shift, class: `small middle name ${part.model.cell}` });
    text.append(part.model.cell.toUpperCase());
    picture.append(text);
  }
}

/** At most `most` points of a long curve: of each stretch its largest value, so that no peak is lost. */
function thinned(values, most) {
  const stretch = Math.ceil(values.length / most);
  const points = [];
  for (let n = 0; n < values.length; n += stretch) points.push([n, Math.max(...values.slice(n, n + stretch))]);
  return points;
}

/** The half-lives in words. */
export function sentences(parts) {
  return parts.filter((part) => part.fading).map((part) => {
    const cell = part.model.cell.toUpperCase();
    const { half_life_tokens: half } = part.fading;
    if (half === null) return html("p", {}, words("fading_none", { cell }));
    const shown = number(half, `memory:${part.model.name}/fading/half_life_tokens`, "fixed", 1);
    return html("p", {}, ...phrase("fading_half", { half: shown, cell }));
  }); // prettier-ignore
}
