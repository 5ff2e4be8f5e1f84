/**
 * The conveyor belt: one stream a token, from its own step on as high as the mass that it still has in the cell state,
 * on an absolute scale; the oldest lies below. A network that reads backwards sends its streams to the left.
 */
import { drawing, svg } from "../dom.js";
import { push } from "../frame.js";
import { percent } from "../numbers.js";
import { words } from "../words.js";

export const HEIGHT = 210;
const TOP = 8;

/** The window's steps in the order in which this direction reads them. */
export function readingOrder(frame) {
  const steps = frame.axis.timesteps;
  return frame.direction === "reverse" ? [...steps].reverse() : steps;
}

const massAt = (frame, t, s) => {
  const value = frame.part.mass.at(t, s);
  return Number.isFinite(value) ? value : 0;
};

/** For each step read so far: the streams that lie on the belt then, oldest first, with their masses. */
export function madeOf(frame, t) {
  const order = readingOrder(frame);
  const read = order.slice(0, order.indexOf(t) + 1);
  const streams = read.map((s) => ({ s, mass: massAt(frame, t, s) }));
  return { streams, total: streams.reduce((sum, { mass }) => sum + mass, 0) };
}

export function draw(frame, height = HEIGHT) {
  const { axis } = frame;
  const order = readingOrder(frame);
  const totals = new Map(order.map((t) => [t, madeOf(frame, t).total]));
  const most = Math.max(...totals.values(), 1e-12);
  const picture = drawing(axis.width, height + TOP + 4, words("belt"), "group");
  const base = height + TOP;
  const y = (mass) => base - (mass / most) * height;
  // the streams begin low: numbers stand on that side
  const side = frame.direction === "reverse" ? { x: axis.width - 12, class: "small muted end" } : { x: 4, class: "small muted" };
  for (const mass of ticks(most)) {
    picture.append(svg("line", { x1: 2, x2: axis.width - 10, y1: y(mass), y2: y(mass), class: "axis" }));
    if (mass) picture.append(svg("text", { ...side, y: y(mass) + 12 }, String(mass)));
  }
  const below = new Map(order.map((t) => [t, 0]));
  const bands = order.map((s, n) => {
    const edge = order.slice(n).map((t) => {
      const low = below.get(t);
      below.set(t, low + massAt(frame, t, s));
      return { t, low: y(low), high: y(below.get(t)) };
    });
    return { s, edge };
  });
  for (const band of bands) picture.append(stream(frame, band));
  for (const band of bands) picture.append(...label(frame, band));
  picture.append(svg("line", { x1: 2, x2: axis.width - 10, y1: base, y2: base, class: "axis strong" }));
  return [picture];
}

function stream(frame, { s, edge }) {
  const { colour, strength } = push(frame, s);
  const end = edge.at(-1).t;
  const left = massAt(frame, end, s) / Math.max(massAt(frame, s, s), 1e-12);
  return svg("path", {
    d: outline(frame, s, edge),
    class: "stream",
    role: "img",
    tabindex: -1,
    "aria-label": words("belt_stream", { token: frame.tokens[s].text, step: s + 1, part: percent(left) }),
    "data-s": s,
    fill: `var(--${colour})`,
    "fill-opacity": colour === "none" ? 0.5 : (0.34 + 0.62 * strength).toFixed(2),
  });
}

/** From the token's own place, along the top edge to where reading ends, and back along the lower edge. */
function outline({ axis, direction }, s, edge) {
  const isForward = direction === "forward";
  const start = isForward ? axis.left(s) + 4 : axis.right(s) - 4;
  const end = isForward ? axis.right(axis.last - 1) : axis.left(axis.first);
  const high = edge.map(({ t, high: at }) => [axis.middle(t), at]);
  const low = edge.map(({ t, low: at }) => [axis.middle(t), at]).reverse();
  const [top, bottom] = [high.at(-1)[1], low[0][1]];
  return `M${start},${low.at(-1)[1]}L${high[0]}${smooth(high)}L${end},${top}L${end},${bottom}L${low[0]}${smooth(low)}Z`;
}

function smooth(points) {
  return points
    .slice(1)
    .map(([x, y], n) => {
      const [before, height] = points[n];
      const middle = (before + x) / 2;
      return `C${middle},${height} ${middle},${y} ${x},${y}`;
    })
    .join("");
}

/** The token's text where its stream is widest, as long as it can be read there. */
function label(frame, { s, edge }) {
  const { axis } = frame;
  const widest = edge.reduce((best, at) => (at.low - at.high > best.low - best.high ? at : best));
  const room = widest.low - widest.high;
  const { text } = frame.tokens[s];
  const size = Math.min(18, room * 0.62, (1.5 * axis.span(widest.t)) / Math.max(1, 0.55 * text.length));
  if (size < 8.5) return [];
  const { strength } = push(frame, s);
  const place = { x: axis.middle(widest.t), y: (widest.low + widest.high) / 2 + size / 3, "font-size": size.toFixed(1) };
  return [svg("text", { ...place, class: `stream-label${strength > 0.55 ? " strong" : ""}`, "aria-hidden": "true" }, text)];
}

/** Three or four round numbers up to the largest. */
function ticks(most) {
  const step = [1, 2, 5].map((n) => n * 10 ** Math.floor(Math.log10(most / 2))).findLast((n) => n <= most / 1.5);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, n) => Number((n * step).toPrecision(3)));
}

/** Fades the other streams while one is looked at. */
export function emphasize(body, hover) {
  for (const path of body.querySelectorAll(".stream"))
    path.classList.toggle("faded", hover !== null && Number(path.dataset.s) !== hover);
}
