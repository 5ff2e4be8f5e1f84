/** State -> the requests that its views are made of. The same objects are sent, and copied as curl and Python. */

export const WINDOW = 128; // tokens whose tensors are held at a time; a longer text is looked at through this window
export const UNITS = 64; // units in view
const PREFIXES = 64; // a network that reads both ways reads every prefix anew
export const SWEPT = 512; // tokens up to which every unit is left out in turn

const route = (model, verb) => `v1/models/${encodeURIComponent(model.name)}/${verb}`;
const inputs = (text) => ({ inputs: text, offset_unit: "utf16" });

export const isTagger = (model) => model.task === "token-classification";
export const isForward = (model) => model.directions.length === 1;
export const hasBelt = (model) => model.cell === "lstm";

export const predict = (model, text) => ({ path: route(model, "predict"), body: inputs(text) });

export function windowOf(state, tokens) {
  const first = Math.max(0, Math.min(state.from, tokens - WINDOW));
  return { start: first, stop: Math.min(tokens, first + WINDOW) };
}

const reductions = (model) => (hasBelt(model) ? ["saturation", "mean", "half_life"] : ["saturation", "mean"]);

function placeOf(model, state) {
  return {
    layers: [Math.min(state.layer, model.layers - 1)],
    directions: [model.directions.includes(state.direction) ? state.direction : "forward"],
  };
}

/** Reductions over the whole text, and what is known at each of its tokens; with every tensor where the text is short. */
export function inspect(model, state, tokens) {
  const isShort = tokens <= WINDOW;
  return {
    path: route(model, "inspect"),
    body: {
      ...inputs(state.text),
      ...(isShort ? { tensors: model.tensors } : {}),
      reduce: reductions(model),
      select: placeOf(model, state),
      ...(isTagger(model) ? { token_scores: true } : {}),
      ...(readsPrefixes(model, tokens) ? { prefix_predictions: true } : {}),
      encoding: "base64",
    },
  };
}

export const readsPrefixes = (model, tokens) => !isTagger(model) && (isForward(model) || tokens <= PREFIXES);

/** A long text: the tensors of the units in view, within the window. */
export function inspectWindow(model, state, tokens, units) {
  return {
    path: route(model, "inspect"),
    body: {
      ...inputs(state.text),
      tensors: model.tensors,
      select: { ...placeOf(model, state), timesteps: windowOf(state, tokens), units },
      encoding: "base64",
    },
  };
}

export function memory(model, state, tokens) {
  const { layers, directions } = placeOf(model, state);
  const belt = { layer: layers[0], direction: directions[0], select: { timesteps: windowOf(state, tokens) } };
  return {
    path: route(model, "memory"),
    body: {
      ...inputs(state.text),
      ...(hasBelt(model) ? { ...belt, measures: ["mass", "gradient_norm"] } : { measures: ["gradient_norm"] }),
      encoding: "base64",
    },
  };
}

/** How influence fades, without the matrices. */
export const fading = (model, text) => ({
  path: route(model, "memory"),
  body: { ...inputs(text), measures: ["gradient_norm"] },
});

export function attribute(model, text, target, timestep, method) {
  const body = { ...inputs(text), target, method };
  if (isTagger(model)) body.timestep = timestep;
  return { path: route(model, "attribute"), body };
}

export const intervene = (model, state) => ({
  path: route(model, "intervene"),
  body: { input: state.text, interventions: state.edits },
});

/** What the answer loses when each unit's hidden state is zero throughout. */
export function unitSweep(model, state, tokens) {
  if (tokens > SWEPT) return null;
  const { layers, directions } = placeOf(model, state);
  const sweep = { over: "units", target: "hidden_state", op: "zero", layer: layers[0], direction: directions[0] };
  return { path: route(model, "intervene"), body: { input: state.text, interventions: [], sweep } };
}

const unitRoute = (model, state, unit, verb) => {
  const { layers, directions } = placeOf(model, state);
  return route(model, `units/${layers[0]}/${directions[0]}/${unit}/${verb}`);
};

export const top = (model, state, unit, texts) => ({
  path: unitRoute(model, state, unit, "top"),
  body: { inputs: texts, offset_unit: "utf16", top_k: 6 },
});

export const unitSum = (model, state, unit, timestep) => ({
  path: unitRoute(model, state, unit, "sum"),
  body: { input: state.text, timestep, terms: 5 },
});
