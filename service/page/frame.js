/** One part of an answer, seen through the state: what a view draws from. Nothing here touches the page. */
import { createAxis } from "./axis.js";
import { decodedTags, targetOf, unitsInView } from "./answers.js";
import { isTagger } from "./questions.js";
import { largest } from "./numbers.js";

const LITTLE = 0.06;

/** view: the room of a lane in pixels, how far the lanes are scrolled, and the theme's palette. */
export function createFrame(part, answer, state, view) {
  const tokens = part.tokenList ?? [];
  const contributions = part.attribution?.contributions ?? null;
  const { start, stop } = part.window;
  const units = part.order ? unitsInView(part, state) : [];
  const frame = {
    part,
    state,
    model: part.model,
    name: part.model.name,
    tokens,
    contributions,
    units,
    layer: Math.min(state.layer, part.model.layers - 1),
    direction: part.model.directions.includes(state.direction) ? state.direction : "forward",
    axis: createAxis(tokens, start, Math.min(stop, tokens.length), view.room),
    view,
    peak: contributions ? Math.max(...contributions.map(Math.abs), 1e-12) : 1,
    scale: influenceScale(answer),
    tags: isTagger(part.model) ? decodedTags(part) : null,
    target: part.tokenList || !isTagger(part.model) ? targetOf(part, state) : null,
    step: 0,
  };
  frame.step = stepOf(frame, state);
  return frame;
}

/** The step of the state; by default the token in the window that contributes most. */
export function stepOf(frame, state) {
  const { first, last } = frame.axis;
  if (state.step !== null) return Math.min(state.step, Math.max(0, frame.tokens.length - 1));
  if (!frame.contributions || last <= first) return Math.max(0, last - 1);
  return first + largest(frame.contributions.slice(first, last).map(Math.abs));
}

/** In compare mode both networks' influence is drawn on one absolute scale. */
function influenceScale(answer) {
  const values = answer.parts.flatMap((part) => part.fading?.value ?? []);
  return Math.max(...values, 1e-12);
}

/** The colour of a class: of two labels each has its own, of more the target is one and all others the second. */
export function colourOf(model, label, target) {
  if (model.labels.length === 2 && !isTagger(model)) return model.labels.indexOf(label) === 1 ? "pos" : "neg";
  return label === target ? "pos" : "neg";
}

/** What a token pushes towards, as colour and strength in 0 to 1; `none` for little. */
export function push(frame, t) {
  const value = frame.contributions?.[t] ?? 0;
  const strength = Math.abs(value) / frame.peak;
  if (strength < LITTLE) return { colour: "none", strength, value };
  const target = frame.part.attribution.target;
  const other = frame.model.labels.find((label) => label !== target);
  return { colour: colourOf(frame.model, value > 0 ? target : other, target), strength, value };
}

/** The unit whose C (of an RNN: S) changes most at a step, of those that are known; or the one that was chosen. */
export function unitAt(frame, t) {
  const { part, state } = frame;
  if (state.unit !== null && state.unit < part.model.units) return state.unit;
  if (!part.tensors) return null;
  const name = part.model.cell === "lstm" ? "cell_state" : "hidden_state";
  const before = t - (frame.direction === "reverse" ? -1 : 1);
  const known = part.tensors.units;
  const change = (u) => Math.abs((part.tensors.at(name, t, u) ?? 0) - (part.tensors.at(name, before, u) ?? 0));
  return known[largest(known.map(change))];
}

/** Where a tensor's number stands in the answer of `/inspect` for this layer and direction. */
export const tensorPath = (frame, name, t, unit) =>
  `inspect:${frame.name}:${frame.layer}:${frame.direction}/tensors/${name}/${t}/${unit}`;
