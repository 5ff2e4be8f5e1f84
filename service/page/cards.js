/** The cards beside the lanes: the cell, its sums, fading, saturation, and one unit. */
import { find, html, replace } from "./dom.js";
import { examplesFor } from "./examples.js";
import { unitAt } from "./frame.js";
import { menuButton } from "./menu.js";
import { phrase, words } from "./words.js";
import * as questions from "./questions.js";
import * as cell from "./views/cell.js";
import * as fading from "./views/fading.js";
import * as saturation from "./views/saturation.js";
import * as sum from "./views/sum.js";
import * as unitCard from "./views/unit.js";

function card(id, title, entry, ...children) {
  const element = find(`#card-${id}`);
  element.setAttribute("aria-label", title);
  replace(element, html("header", {}, html("h2", {}, title), menuButton(title, entry)), ...children);
}

const entryOf = (name, part, asked, act) => () => ({ name, part, questions: asked.filter(Boolean), hasKey: act.hasKey });

/** All cards of the lead's frame. */
export function drawCards(frame, answer, act) {
  drawStepCards(frame, act);
  drawFading(answer, act);
  drawSaturation(frame, act);
}

/** Those that show the step. */
export function drawStepCards(frame, act) {
  const unit = frame.part.tensors && frame.tokens.length ? unitAt(frame, frame.step) : null;
  drawCell(frame, unit, act);
  drawUnit(frame, unit, act);
}

function drawCell(frame, unit, act) {
  const { part, step, tokens } = frame;
  const title = words("cell_title", { token: cell.shorten(tokens[step]?.text ?? "") });
  const entry = entryOf("cell", part, [part.asked.window ?? part.asked.inspect], act);
  if (unit === null) return card("cell", title, entry, problem(part.problems.inspect));
  const isLstm = frame.model.cell === "lstm";
  const onLayer = (gate) => act.sum(gate, unit, step);
  const picture = (isLstm ? cell.draw : cell.drawRnn)(frame, step, unit, onLayer);
  if (!picture) return card("cell", title, entry);
  card(
    "cell",
    title,
    entry,
    html("p", { class: "where" }, words("cell_where", { step: step + 1, unit })),
    picture,
    html("p", {}, ...cell.sentence(frame, step, unit)),
    html("p", { class: "hint" }, words("cell_help")),
    html("div", { id: "sum" }),
  );
}

/** The sum of a gate, below the cell. */
export function drawSum(answer, gate, from, onClose) {
  const place = find("#sum");
  if (!place) return;
  replace(place, answer instanceof Error ? problem(answer) : sum.table(answer, gate, from, onClose));
}

export function clearSum() {
  find("#sum")?.replaceChildren();
}

const problem = (error) => (error ? html("p", { class: "problem" }, error.message) : null);

function drawFading(answer, act) {
  const parts = [...answer.parts, ...(answer.sibling ? [answer.sibling] : [])];
  parts.sort((a, b) => (a.model.cell < b.model.cell ? 1 : -1)); // the RNN first, as it stands above
  const entry = entryOf("fading", answer.parts.at(-1), parts.map((part) => part.asked.memory), act);
  const problems = parts.map((part) => problem(part.problems.memory)).filter(Boolean);
  card("fading", words("fading"), entry, fading.draw(parts), ...fading.sentences(parts), ...problems);
}

function drawSaturation(frame, act) {
  const { part, model, state } = frame;
  const entry = entryOf("saturation", part, [part.asked.inspect], act);
  if (!part.reductions) return card("saturation", words("saturation"), entry, problem(part.problems.inspect));
  const gate = saturation.gateOf(frame);
  const options = saturation.gatesOf(model).map((name) => html("option", { value: name, selected: name === gate }, words(name)));
  const select = html("select", { "data-focus": "saturation-gate", change: (event) => act.set({ gate: event.target.value, brush: null }) }, ...options);
  const brushed = state.brush
    ? [
        html("span", {}, words("brushed", { count: part.order.length })),
        html("button", { type: "button", "data-focus": "brush-clear", click: () => act.brush(null) }, words("brush_clear")),
      ]
    : [];
  card(
    "saturation",
    words("saturation"),
    entry,
    html("label", { class: "row" }, words("saturation_gate"), select),
    saturation.draw(frame, act.brush, act.unit),
    html("div", { class: "row" }, ...saturation.presets(gate, act.brush), ...brushed),
    html("p", { class: "hint" }, words("saturation_help")),
  );
}

function drawUnit(frame, unit, act) {
  const { part, model, state } = frame;
  if (unit === null) return card("unit", words("unit_choose"), entryOf("unit", part, [], act));
  const texts = [state.text, ...examplesFor(model).filter((text) => text !== state.text)];
  const top = questions.top(model, state, unit, texts);
  const entry = entryOf("unit", part, [part.asked.window ?? part.asked.inspect, top], act);
  const input = html("input", {
    type: "number", min: 0, max: model.units - 1, value: unit, "data-focus": "unit-number", "aria-label": words("unit_choose"),
    change: (event) => {
      const chosen = Number(event.target.value);
      if (Number.isInteger(chosen) && chosen >= 0 && chosen < model.units) act.unit(chosen);
    },
  }); // prettier-ignore
  const auto = html(
    "button",
    { type: "button", "aria-pressed": String(state.unit === null), "data-focus": "unit-auto", click: () => act.unit(null) },
    words("unit_auto"),
  );
  const list = html("div", { id: "contexts" });
  card(
    "unit",
    words("unit_card", { unit }),
    entry,
    html("div", { class: "row" }, input, auto),
    unitCard.line(frame, unit),
    unitCard.facts(frame, unit),
    html("p", { class: "hint" }, words("unit_top")),
    list,
  );
  act.contexts(top, (answer) => {
    if (list.isConnected) list.replaceChildren(unitCard.contexts(answer, texts, `top:${model.name}:${unit}`));
  });
}

/** The certificate and the kernel, at the foot. */
export function drawFoot(part, badge) {
  const kernel = part.certificate ? html("span", {}, ...phrase("kernel", { kernel: part.certificate.kernel })) : null;
  replace(find("#foot"), ...badge(part), kernel, html("span", {}, words("keys")));
}
