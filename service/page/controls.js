/** The controls that stand still: header, text, examples, timeline, and the bar of the gates. */
import { find, html, replace } from "./dom.js";
import { examplesFor } from "./examples.js";
import { icon } from "./icons.js";
import { SWEPT, UNITS } from "./questions.js";
import { scopeOf } from "./views/edits.js";
import { words } from "./words.js";

/** Writes the words of the language into everything that names its key. */
export function writeWords() {
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = words(element.dataset.word);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", words(element.dataset.label));
  for (const element of document.querySelectorAll("[data-title]")) element.title = words(element.dataset.title);
  for (const element of document.querySelectorAll("[data-placeholder]")) element.placeholder = words(element.dataset.placeholder);
  document.title = words("title");
}

const pressed = (selector, value) => find(selector).setAttribute("aria-pressed", String(Boolean(value)));

export function drawHeader(state, models, pair) {
  const select = find("#model");
  const options = models.map((model) => html("option", { value: model.name, selected: model.name === state.model }, model.name));
  if (select.children.length !== options.length) select.replaceChildren(...options);
  select.value = state.model;
  pressed("#compare", state.compare && pair);
  find("#compare").disabled = !pair;
  pressed("#tour", state.tour !== null);
  document.documentElement.lang = state.lang === "zh" ? "zh-CN" : "en";
  document.documentElement.dataset.theme = state.theme;
}

export function drawText(state, model, onText) {
  const area = find("#text");
  if (area.value !== state.text) area.value = state.text;
  if (!CSS.supports("field-sizing", "content")) {
    area.style.height = "auto";
    area.style.height = `${Math.min(220, area.scrollHeight + 2)}px`;
  }
  const list = find("#examples");
  if (list.dataset.model === model?.name) return;
  list.dataset.model = model?.name ?? "";
  const buttons = (model ? examplesFor(model) : []).map((text, n) =>
    html("button", { type: "button", class: "example", "data-focus": `example-${n}`, click: () => onText(text) }, text),
  );
  replace(list, ...buttons);
}

/** The stream's switch, for models that can be streamed; and what came over it. */
export function drawStream(state, model, content) {
  find("#streaming").hidden = !model?.streamable;
  pressed("#stream", state.stream && model?.streamable);
  replace(find("#streamed"), ...(state.stream && model?.streamable ? content : []));
}

/** The scrubber: a slider and three buttons, the edit mode and its undo. */
export function drawTimeline(frame, act) {
  const { tokens, step, state, model } = frame;
  const button = (name, key, click, rest = {}) =>
    html("button", { type: "button", "data-focus": key, "aria-label": words(key), title: words(key), click, ...rest }, name);
  const range = html("input", {
    type: "range", id: "step", min: 0, max: Math.max(0, tokens.length - 1), value: step, "data-focus": "step",
    "aria-label": words("step"), "aria-valuetext": stepText(frame), input: (event) => act.step(Number(event.target.value), null),
  }); // prettier-ignore
  const forget = html("button", {
    type: "button", "data-focus": "forget-before", disabled: step === 0 || frame.direction === "reverse",
    title: words("forget_after", { token: tokens[step]?.text ?? "" }), click: () => act.forget(),
  }, words("forget_before")); // prettier-ignore
  const canEdit = model.tensors.includes("forget_gate");
  const edit = html(
    "button",
    { type: "button", "data-focus": "editing", "aria-pressed": String(state.editing), title: words("edit_help"), click: () => act.set({ editing: !state.editing }) },
    words("editing"),
  );
  const undo = state.edits.length
    ? [
        html("button", { type: "button", "data-focus": "undo", click: () => act.undo(1) }, words("undo")),
        html("button", { type: "button", "data-focus": "undo-all", click: () => act.undo(Infinity) }, words("undo_all")),
      ]
    : [];
  replace(
    find("#timeline"),
    html("span", { class: "group" }, button(icon("back"), "first", () => act.move(-1)), button(icon(state.playing ? "pause" : "play"), state.playing ? "pause" : "play", () => act.play()), button(icon("next"), "next", () => act.move(1))),
    range,
    html("span", { class: "step-text", "aria-hidden": "true" }, stepText(frame)),
    html("span", { class: "group" }, forget, canEdit && edit, ...undo),
    state.editing && canEdit && scope(state, act),
  ); // prettier-ignore
}

function scope(state, act) {
  const isAll = scopeOf(state) === "all";
  const text = isAll ? words("edit_all") : words("edit_one", { unit: state.unit });
  return html("span", { class: "scope" }, `${words("edit_scope")}: ${text} `, !isAll && html("button", { type: "button", click: () => act.unit(null) }, words("edit_all")));
}

export function stepText({ tokens, step }) {
  return `${words("step_of", { step: step + 1, steps: tokens.length })} · ${tokens[step]?.text ?? ""}`;
}

export function markTimeline(frame) {
  const range = find("#step");
  if (!range) return;
  range.value = frame.step;
  range.setAttribute("aria-valuetext", stepText(frame));
  find("#timeline .step-text").textContent = stepText(frame);
  const forget = find("[data-focus=forget-before]");
  forget.disabled = frame.step === 0 || frame.direction === "reverse";
  forget.title = words("forget_after", { token: frame.tokens[frame.step]?.text ?? "" });
}

/** Layer, direction, order and page of the units in the lanes. */
export function drawGateBar(frame, act) {
  const { model, part, state, layer, direction } = frame;
  const tab = (name, isOn, click) => html("button", { type: "button", "data-focus": `tab-${name}`, "aria-pressed": String(isOn), click }, name);
  const tabs = [];
  if (model.layers > 1)
    tabs.push(html("span", { class: "group" }, `${words("layer")} `, ...Array.from({ length: model.layers }, (_, n) => tab(String(n), n === layer, () => act.set({ layer: n, brush: null })))));
  if (model.directions.length > 1)
    tabs.push(html("span", { class: "group" }, ...model.directions.map((name) => tab(words(name), name === direction, () => act.set({ direction: name, brush: null, edits: [] })))));
  const sorts = ["half_life", "contribution", "index"].filter((key) => key !== "half_life" || model.tensors.includes("forget_gate"));
  const chosen = sorts.includes(state.sort) ? state.sort : "index";
  const options = sorts.map((key) => html("option", { value: key, selected: key === chosen }, words(`sort_${key}`)));
  const sort = html("label", {}, `${words("sort")} `, html("select", { "data-focus": "sort", change: (event) => act.set({ sort: event.target.value, page: 0 }) }, ...options));
  const show = html("button", { type: "button", "data-focus": "gates", "aria-pressed": String(state.gates), click: () => act.set({ gates: !state.gates }) }, words("show_gates"));
  const unsorted = chosen === "contribution" && part.order && !part.unitEffects;
  const note = unsorted ? [html("span", { class: "note" }, words("sort_too_long", { tokens: SWEPT }))] : [];
  replace(find("#gatebar"), html("h2", {}, words("gates")), ...tabs, show, sort, ...note, ...pages(part, state, act));
}

function pages(part, state, act) {
  const total = part.order?.length ?? 0;
  const last = Math.max(0, Math.ceil(total / UNITS) - 1);
  const page = Math.min(state.page, last);
  const text = words("units", { from: total ? page * UNITS + 1 : 0, to: Math.min(total, (page + 1) * UNITS), total });
  const turn = (name, key, to, isOff) =>
    html("button", { type: "button", "data-focus": key, "aria-label": words(key), title: words(key), disabled: isOff, click: () => act.set({ page: to }) }, name);
  return [
    html("span", { class: "group" }, turn("‹", "units_before", page - 1, page === 0), html("span", { class: "units" }, text), turn("›", "units_after", page + 1, page === last)),
  ]; // prettier-ignore
}
