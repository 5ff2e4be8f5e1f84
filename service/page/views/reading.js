/** The answer to the text so far, after each token; and the step from which its label never changes. */
import { drawing, svg } from "../dom.js";
import { isWide } from "../axis.js";
import { colourOf } from "../frame.js";
import { labelName } from "../models.js";
import { words } from "../words.js";

const HEIGHT = 64;
const TOP = 14;

/** Of two classes the probability of the second, of more that of the best label. */
export function valueAt(frame, t) {
  const { labels, scores } = frame.part.prefix;
  const second = frame.model.labels[1];
  if (frame.model.labels.length !== 2) return scores[t];
  return labels[t] === second ? scores[t] : 1 - scores[t];
}

export function draw(frame) {
  const { axis, part } = frame;
  const picture = drawing(axis.width, HEIGHT + TOP + 6, words("reading"));
  const y = (p) => TOP + (1 - p) * HEIGHT;
  for (const p of [0, 0.5, 1]) {
    const dashes = p === 0.5 ? "3 4" : null;
    picture.append(
      svg("line", { x1: 2, x2: axis.width - 10, y1: y(p), y2: y(p), class: "axis", "stroke-dasharray": dashes }),
    );
  }
  const points = axis.timesteps.map((t) => [axis.middle(t), y(valueAt(frame, t))]);
  picture.append(svg("path", { d: `M${points.join("L")}`, class: "line" }));
  commit(picture, frame);
  axis.timesteps.forEach((t, n) => picture.append(point(frame, t, points[n])));
  if (frame.model.labels.length > 2) names(picture, frame, y);
  return [picture];

  function commit(parent, { axis: { first, last } }) {
    const at = part.prefix.commit_timestep;
    if (at < first || at >= last) return;
    const x = axis.left(at);
    const isLate = x > axis.width - 90;
    const mark = svg("g", { class: "commit" });
    mark.append(
      svg("title", {}, words("commit_help", { step: at + 1 })),
      svg("line", { x1: x, x2: x, y1: TOP - 6, y2: TOP + HEIGHT }),
      svg("text", { x: isLate ? x - 5 : x + 5, y: TOP - 3, class: isLate ? "small end" : "small" }, words("commit")),
    );
    parent.append(mark);
  }
}

function point(frame, t, [x, y]) {
  const { target } = frame.part.attribution ?? { target: frame.part.prediction.labels[0].label };
  const colour = colourOf(frame.model, frame.part.prefix.labels[t], target);
  return svg("circle", { cx: x, cy: y, r: 3.4, fill: `var(--${colour})`, class: "point", "data-t": t });
}

/** Of many labels: its name where it changes, as long as there is room. */
function names(picture, { axis, part, model, state }, y) {
  let free = -1;
  for (const t of axis.timesteps) {
    const label = part.prefix.labels[t];
    const name = labelName(model, label, state.lang);
    if ((t > axis.first && label === part.prefix.labels[t - 1]) || axis.left(t) < free) continue;
    const width = (isWide(name) ? 12 : 7) * name.length + 6;
    if (axis.left(t) + width > axis.width) continue;
    const below = part.prefix.scores[t] > 0.6;
    picture.append(
      svg("text", { x: axis.left(t) + 2, y: y(part.prefix.scores[t]) + (below ? 18 : -8), class: "small muted" }, name),
    );
    free = axis.left(t) + width;
  }
}
