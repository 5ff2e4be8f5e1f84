/** A unit's card: its states over the tokens in view, its half-life, and where it is largest. */
import { html, svg } from "../dom.js";
import { tensorPath } from "../frame.js";
import { number } from "../numbers.js";
import { phrase, words } from "../words.js";

const [WIDTH, HEIGHT] = [344, 96];

export function line(frame, unit) {
  const { axis, part } = frame;
  const isLstm = frame.model.cell === "lstm";
  const names = isLstm ? ["cell_state", "hidden_state"] : ["hidden_state"];
  const label = words("unit_line", { unit });
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "unit-line", role: "img", "aria-label": label });
  const values = names.flatMap((name) => axis.timesteps.map((t) => part.tensors.at(name, t, unit) ?? 0));
  const most = Math.max(1, ...values.map(Math.abs));
  const x = (t) => 4 + ((t - axis.first + 0.5) / axis.timesteps.length) * (WIDTH - 30);
  const y = (value) => HEIGHT / 2 - (value / most) * (HEIGHT / 2 - 8);
  for (const at of [-1, 0, 1]) picture.append(svg("line", { x1: 4, x2: WIDTH - 26, y1: y(at), y2: y(at), class: "axis" }));
  picture.append(svg("text", { x: WIDTH - 22, y: y(1) + 4, class: "small muted" }, "1"));
  picture.append(svg("text", { x: WIDTH - 22, y: y(-1) + 4, class: "small muted" }, "−1"));
  for (const name of names) {
    const points = axis.timesteps.map((t) => `${x(t)},${y(part.tensors.at(name, t, unit) ?? 0)}`);
    picture.append(svg("path", { d: `M${points.join("L")}`, class: `unit-path ${name}` }));
  }
  const here = part.tensors.at("hidden_state", frame.step, unit);
  if (here !== undefined) {
    picture.append(svg("line", { x1: x(frame.step), x2: x(frame.step), y1: 2, y2: HEIGHT - 2, class: "step-line" }));
    for (const name of names) {
      picture.append(svg("circle", { cx: x(frame.step), cy: y(part.tensors.at(name, frame.step, unit)), r: 3, class: name }));
    }
  }
  return picture;
}

/** h and C at the step, and the unit's half-life. */
export function facts(frame, unit) {
  const { part, step } = frame;
  const items = [];
  for (const [name, letter] of [["hidden_state", "h"], ["cell_state", "C"]]) {
    const value = part.tensors.at(name, step, unit);
    if (value === undefined) continue;
    items.push(html("li", { class: name }, `${letter} `, number(value, tensorPath(frame, name, step, unit), "signed")));
  }
  const halfLives = part.reductions?.forget_gate?.half_life_tokens?.[0][0];
  if (halfLives) {
    const from = `inspect:${frame.name}:${frame.layer}:${frame.direction}/reductions/forget_gate/half_life_tokens/0/0/${unit}`;
    const half = halfLives[unit];
    const text = half === null ? [words("never")] : phrase("half_life", { tokens: number(half, from, "fixed", 1) });
    items.push(html("li", {}, ...text));
  }
  return html("ul", { class: "facts" }, ...items);
}

/** The contexts in which the unit is largest: a few characters about each token. */
export function contexts(answer, texts, from) {
  const rows = answer.top.map(({ input, start, end, value }, n) => {
    const text = texts[input];
    return html(
      "li",
      {},
      number(value, `${from}/top/${n}/value`, "signed"),
      html("span", { class: "context" }, before(text, start), html("mark", {}, text.slice(start, end)), after(text, end)),
    );
  });
  return html("ol", { class: "contexts" }, ...rows);
}

/** Whole characters beside a token: an emoji is never cut in two. */
function before(text, start) {
  const characters = [...text.slice(0, start)];
  return (characters.length > 10 ? "…" : "") + characters.slice(-10).join("");
}

function after(text, end) {
  const characters = [...text.slice(end)];
  return characters.slice(0, 10).join("") + (characters.length > 10 ? "…" : "");
}
