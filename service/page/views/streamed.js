/** The frames of a stream: the answer after each token that was sent, and the last one in words. */
import { html, svg } from "../dom.js";
import { labelName } from "../models.js";
import { number } from "../numbers.js";
import { phrase, words } from "../words.js";

const [WIDTH, HEIGHT] = [260, 30];

export function draw(model, frames, problem, state) {
  if (problem) return [html("span", { class: "problem" }, problem.detail)];
  const last = frames.at(-1);
  if (!last) return [html("span", { class: "hint" }, words("stream_waits"))];
  const count = String(frames.length);
  if (last.entities) return [html("span", {}, words("stream_after", { count })), entities(model, frames)];
  const from = `stream:${model.name}/${frames.length - 1}`;
  const [{ label, score }] = last.labels;
  const best = { count, label: labelName(model, label, state.lang), score: number(score, `${from}/labels/0/score`) };
  return [line(model, frames), html("span", {}, ...phrase("stream_label", best))];
}

/** Of two labels the probability of the second after each token, of more that of the best. */
function line(model, frames) {
  const value = ({ labels }) => (labels.length === 2 ? labels.find((row) => row.label === model.labels[1]) : labels[0]).score;
  const x = (n) => 3 + (n * (WIDTH - 6)) / Math.max(1, frames.length - 1);
  const points = frames.map((frame, n) => `${x(n)},${3 + (1 - value(frame)) * (HEIGHT - 6)}`);
  const picture = svg("svg", { width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words("stream") });
  picture.append(
    svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2, class: "axis" }),
    svg("path", { d: `M${points.join("L")}`, class: "line" }),
  );
  return picture;
}

/** What is settled was given once, when it was; what later text may still change is drawn with a broken border. */
function entities(model, frames) {
  const last = frames.length - 1;
  const shown = frames.flatMap((frame, n) =>
    frame.entities
      .map((entity, index) => ({ ...entity, from: `stream:${model.name}/${n}/entities/${index}/score` }))
      .filter(({ final }) => final || n === last),
  );
  if (!shown.length) return html("span", { class: "none" }, words("no_entities"));
  const chips = shown.map(({ label, text, score, final, from }) =>
    html(
      "li",
      {},
      html(
        "span",
        { class: final ? "entity" : "entity open", title: words(final ? "stream_final" : "stream_open") },
        html("span", { class: "kind" }, label),
        html("span", { class: "what" }, text),
        number(score, from),
      ),
    ),
  );
  return html("ul", { class: "chips" }, ...chips);
}
