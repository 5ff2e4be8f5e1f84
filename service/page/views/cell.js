/** The lecture's LSTM cell for one unit and step: yellow layers, pink point operations, a number on every wire. */
import { svg } from "../dom.js";
import { tensorPath } from "../frame.js";
import { number, svgNumber } from "../numbers.js";
import { phrase, words } from "../words.js";

const WIDTH = 344;
const thickness = (value) => 0.9 + 5 * Math.min(1, Math.abs(value));

/** The step's numbers: of the state before it zero where reading begins. */
export function readings(frame, t, unit) {
  const before = t - (frame.direction === "reverse" ? -1 : 1);
  const isFirst = before < 0 || before >= frame.tokens.length;
  const at = (name, step) => frame.part.tensors.at(name, step, unit);
  const c0 = isFirst ? 0 : at("cell_state", before);
  const h0 = isFirst ? 0 : at("hidden_state", before);
  return { before, isFirst, c0, h0, at: (name) => at(name, t) };
}

export function draw(frame, t, unit, onLayer) {
  const { before, isFirst, c0, h0, at } = readings(frame, t, unit);
  const values = Object.fromEntries(
    ["forget_gate", "input_gate", "cell_gate", "output_gate", "cell_state", "hidden_state"].map((k) => [k, at(k)]),
  );
  if (Object.values(values).includes(undefined) || c0 === undefined) return null;
  const { forget_gate: f, input_gate: i, cell_gate: g, output_gate: o, cell_state: c, hidden_state: h } = values;
  const picture = canvas();
  const add = (...elements) => picture.append(...elements);
  const path = (name, step = t) => (step === before && isFirst ? "zero" : tensorPath(frame, name, step, unit));
  const write = (x, y, value, from, { anchor = "start", colour = "ink", format = "signed", name = "" } = {}) =>
    add(svgNumber(value, from, { x, y, class: `small value ${anchor} c-${colour}` }, format, 2, name));

  add(svg("rect", { x: 34, y: 24, width: 276, height: 194, rx: 16, class: "frame" }));
  wire(picture, "M4 52H74", thickness(c0)); // the belt
  wire(picture, "M96 52H168", thickness(c0 * f));
  wire(picture, "M190 52H340", thickness(c));
  wire(picture, "M4 194H246"); // h_{t-1}, joined by x_t
  for (const x of [85, 141, 185, 246]) wire(picture, `M${x} 194V170`);
  wire(picture, "M60 238V202Q60 194 68 194");
  wire(picture, "M85 146V63"); // f
  wire(picture, "M141 146V117H168"); // i
  wire(picture, "M185 146V128"); // g
  wire(picture, "M179 106V63"); // i * g
  wire(picture, "M246 146V124H263"); // o
  wire(picture, "M274 52V80M274 102V113"); // tanh(c)
  wire(picture, "M274 135V186Q274 194 282 194H340M302 194V238"); // h_t
  point(picture, 85, 52, "×");
  point(picture, 179, 52, "+");
  point(picture, 179, 117, "×");
  point(picture, 274, 124, "×");
  add(svg("rect", { x: 254, y: 80, width: 40, height: 22, rx: 11, class: "point-operation" }));
  add(svg("text", { x: 274, y: 95, class: "on-point middle" }, "tanh"));
  layer(picture, 85, "σ", "forget_gate", "forget", onLayer);
  layer(picture, 141, "σ", "input_gate", "input", onLayer);
  layer(picture, 185, "tanh", "cell_gate", "candidate", onLayer);
  layer(picture, 246, "σ", "output_gate", "output", onLayer);

  write(80, 122, f, path("forget_gate"), { anchor: "end", colour: "forget", format: "fixed", name: "f" });
  write(136, 140, i, path("input_gate"), { anchor: "end", colour: "input", format: "fixed", name: "i" });
  write(191, 140, g, path("cell_gate"), { colour: "candidate", name: "g" });
  write(241, 119, o, path("output_gate"), { anchor: "end", colour: "output", format: "fixed", name: "o" });
  write(4, 42, c0, path("cell_state", before));
  write(340, 42, c, path("cell_state"), { anchor: "end" });
  write(132, 42, c0 * f, "product", { anchor: "middle", colour: "muted" });
  write(185, 88, i * g, "product", { colour: "muted" });
  write(268, 70, Math.tanh(c), "product", { anchor: "end", colour: "muted" });
  write(4, 184, h0, path("hidden_state", before));
  write(340, 184, h, path("hidden_state"), { anchor: "end" });
  names(add, frame, t);
  return picture;
}

function names(add, frame, t) {
  const text = (x, y, content, anchor = "start") => add(svg("text", { x, y, class: `small muted ${anchor}` }, content));
  const before = frame.direction === "reverse" ? "ₜ₊₁" : "ₜ₋₁";
  text(4, 70, `C${before}`);
  text(340, 70, "Cₜ", "end");
  text(4, 210, `h${before}`);
  text(340, 210, "hₜ", "end");
  text(68, 250, `xₜ “${shorten(frame.tokens[t].text)}”`);
  text(308, 250, "Oₜ");
}

export const shorten = (text) => ([...text].length > 14 ? `${[...text].slice(0, 13).join("")}…` : text);

/** An RNN's step: one yellow layer, no belt. */
export function drawRnn(frame, t, unit, onLayer) {
  const { before, isFirst, h0, at } = readings(frame, t, unit);
  const h = at("hidden_state");
  if (h === undefined || h0 === undefined) return null;
  const picture = canvas();
  const write = (x, y, value, step, anchor) => {
    const from = step === before && isFirst ? "zero" : tensorPath(frame, "hidden_state", step, unit);
    picture.append(svgNumber(value, from, { x, y, class: `small value ${anchor}` }, "signed"));
  };
  picture.append(svg("rect", { x: 34, y: 24, width: 276, height: 194, rx: 16, class: "frame" }));
  wire(picture, "M4 150H172", thickness(h0));
  wire(picture, "M60 238V158Q60 150 68 150");
  wire(picture, "M172 150V108");
  wire(picture, "M172 84V60H300M300 60V238M172 60", 1.6);
  wire(picture, "M300 150H340", thickness(h));
  layer(picture, 172, "tanh", "hidden_state", "candidate", onLayer, 84);
  write(4, 140, h0, before, "start");
  write(340, 140, h, t, "end");
  const text = (x, y, content, anchor = "start") =>
    picture.append(svg("text", { x, y, class: `small muted ${anchor}` }, content));
  text(4, 168, frame.direction === "reverse" ? "Sₜ₊₁" : "Sₜ₋₁");
  text(340, 168, "Sₜ", "end");
  text(110, 142, "W", "middle");
  text(66, 200, "U");
  text(308, 200, "V");
  text(68, 250, `xₜ “${shorten(frame.tokens[t].text)}”`);
  text(308, 250, "Oₜ");
  return picture;
}

function canvas() {
  const attributes = { viewBox: `0 0 ${WIDTH} 256`, class: "cell", role: "group", "aria-label": words("cell_help") };
  return svg("svg", attributes);
}

function wire(parent, d, width = 1.6) {
  parent.append(svg("path", { d, class: "wire", "stroke-width": width }));
}

function point(parent, x, y, name) {
  parent.append(svg("circle", { cx: x, cy: y, r: 11, class: "point-operation" }));
  parent.append(svg("text", { x, y: y + 4.5, class: "on-point middle large" }, name));
}

function layer(parent, x, name, gate, colour, onLayer, y = 146) {
  const choose = () => onLayer(gate);
  parent.append(
    svg(
      "g",
      {
        class: "layer", role: "button", tabindex: 0, "data-focus": `layer-${gate}`, "data-gate": gate, click: choose,
        "aria-label": words("layer_button", { name: words(gate) }),
        keydown: (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), choose()),
      }, // prettier-ignore
      svg("rect", { x: x - 20, y, width: 40, height: 24, rx: 4, stroke: `var(--${colour})` }),
      svg("text", { x, y: y + 16.5, class: "on-layer middle" }, name),
    ),
  );
}

/** One sentence in words: what this step does to the unit. */
export function sentence(frame, t, unit) {
  const { before, isFirst, c0, h0, at } = readings(frame, t, unit);
  const isLstm = frame.model.cell === "lstm";
  const memory = isLstm ? "cell_state" : "hidden_state";
  const shown = (name, format, step = t, value = at(name)) =>
    number(value, step === before && isFirst ? "zero" : tensorPath(frame, name, step, unit), format);
  const states = { before: shown(memory, "signed", before, isLstm ? c0 : h0), after: shown(memory, "signed") };
  if (!isLstm) {
    const h = at("hidden_state");
    const z = Math.abs(h) < 1 ? number(Math.atanh(h), "product", "signed") : "±∞";
    return phrase("rnn_sentence", { z, ...states });
  }
  const gates = { f: shown("forget_gate", "percent"), i: shown("input_gate", "percent"), g: shown("cell_gate", "signed") };
  return phrase("cell_sentence", { ...gates, ...states });
}
