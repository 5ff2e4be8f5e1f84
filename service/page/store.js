/** The page's one state, and the list of those who are told when a part of it changes. */

export const INITIAL = Object.freeze({
  lang: "en",
  theme: "auto",
  model: "",
  text: "",
  compare: false,
  step: null, // null: the token that contributes most
  target: null, // a label or a tag; null: the predicted one
  at: null, // NER: the timestep whose tag is the target
  layer: 0,
  direction: "forward",
  gates: true, // whether the lanes of gates are shown
  sort: "half_life",
  page: 0, // which 64 units
  gate: "forget_gate", // of the scatter and of the sum
  brush: null, // [gate, low from, low to, high from, high to]
  unit: null, // null: the unit that changes most at the step
  from: 0, // first token of the window
  editing: false,
  edits: [],
  tour: null,
  stream: false, // whether what is typed goes over a WebSocket too
  hover: null, // the token whose stream is looked at
  playing: false,
});

export function createStore(initial) {
  let state = { ...INITIAL, ...initial };
  const listeners = [];
  return {
    get: () => state,
    subscribe: (listener) => listeners.push(listener),
    /** Tells the listeners which keys have another value now. */
    set(patch) {
      const changed = new Set(Object.keys(patch).filter((key) => patch[key] !== state[key]));
      if (!changed.size) return;
      state = { ...state, ...patch };
      for (const listener of listeners) listener(state, changed);
    },
  };
}
