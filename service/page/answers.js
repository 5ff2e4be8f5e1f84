/**
 * Asks the server what the state's views need. Each new question abandons the one before, so that an older answer can
 * never overwrite a newer one; answers that were given before are kept, so that a step back asks nothing.
 */
import * as questions from "./questions.js";
import { createMatrix, createTensors, decoded } from "./tensors.js";

const KEPT = 80;

export function createAsker(client, publish) {
  const kept = new Map();
  let current = null;

  async function ask(question, signal) {
    const key = question.path + JSON.stringify(question.body);
    if (!kept.has(key)) {
      const answer = await client.post(question.path, question.body, signal);
      kept.set(key, answer);
      if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    }
    return kept.get(key);
  }

  /** Resolves when every part of the answer has come or failed. */
  async function refresh(state, models) {
    current?.abort();
    const abort = (current = new AbortController());
    const isCurrent = () => current === abort && !abort.signal.aborted;
    const tell = (answer) => isCurrent() && publish(answer);
    if (!state.text.trim()) return tell({ text: state.text, parts: [], sibling: null, problem: null });
    try {
      await gather(state, models, (question) => ask(question, abort.signal), tell);
    } catch (problem) {
      if (problem.name !== "AbortError") tell({ text: state.text, parts: [], sibling: null, problem });
    }
  }
  /** The prediction of a part with the state's edits, or none. */
  async function edit(part, state) {
    delete part.problems.intervene;
    part.edited = null;
    if (state.edits.length) await edited(part, state, (question) => ask(question));
  }
  return { refresh, edit, ask: (question) => ask(question) };
}

async function gather(state, { shown, sibling }, ask, tell) {
  const predictions = await Promise.all(shown.map((model) => ask(questions.predict(model, state.text))));
  const parts = shown.map((model, n) => firstPart(model, state, predictions[n].results[0]));
  const answer = { text: state.text, parts, sibling: null, problem: null };
  tell({ ...answer, isPartial: true });
  const lead = parts.at(-1); // of a pair the LSTM: it chooses the target and the method for both
  const isRead = new Map(parts.map((part) => [part, inspected(part, state, ask)]));
  const jobs = parts.flatMap((part) => [
    isRead.get(part),
    remembered(part, state, ask),
    attributed(part, lead, questions.isTagger(lead.model) ? isRead.get(lead) : null, state, ask),
    state.edits.length && part === lead ? edited(part, state, ask) : null,
  ]);
  if (sibling) jobs.push(fadingOf(answer, sibling, state, ask));
  await Promise.all(jobs);
  tell(answer);
}

function firstPart(model, state, prediction) {
  const { tokens } = prediction;
  const asked = { predict: questions.predict(model, state.text) };
  return { model, text: state.text, prediction, tokens, window: questions.windowOf(state, tokens), asked, problems: {} };
}

/** Runs one job of a part; its failure is the part's, shown where its view stands. */
async function attempt(part, name, job) {
  try {
    await job();
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    part.problems[name] = problem;
  }
}

const inspected = (part, state, ask) =>
  attempt(part, "inspect", async () => {
    part.asked.inspect = questions.inspect(part.model, state, part.tokens);
    const [result] = (await ask(part.asked.inspect)).results;
    Object.assign(part, {
      tokenList: result.token_list,
      reductions: result.reductions,
      selection: result.selection,
      prefix: result.prefix ?? null,
      certificate: result.certificate,
      entities: result.entities ?? null,
    });
    if (result.token_scores) part.marginals = createScores(result.token_scores.marginals);
    if (state.sort === "contribution") await swept(part, state, ask);
    part.order = unitOrder(part, state);
    if (part.tokens <= questions.WINDOW) {
      part.tensors = createTensors(result);
      return;
    }
    const wanted = new Set(unitsInView(part, state));
    if (state.unit !== null && state.unit < part.model.units) wanted.add(state.unit);
    part.asked.window = questions.inspectWindow(part.model, state, part.tokens, [...wanted]);
    const [windowed] = (await ask(part.asked.window)).results;
    part.tensors = createTensors(windowed);
  });

async function swept(part, state, ask) {
  const question = questions.unitSweep(part.model, state, part.tokens);
  if (!question) return;
  const { sweep } = await ask(question);
  const size = (delta) => (Array.isArray(delta) ? Math.max(...delta.map(size)) : Math.abs(delta));
  part.unitEffects = sweep.map(({ delta_logits }) => size(delta_logits));
}

const remembered = (part, state, ask) =>
  attempt(part, "memory", async () => {
    part.asked.memory = questions.memory(part.model, state, part.tokens);
    const [result] = (await ask(part.asked.memory)).results;
    part.fading = result.fading;
    if (result.measures.mass) part.mass = createMatrix(result.measures.mass, result.selection.timesteps);
  });

/** Of a tagger the target is the tag at a token, and tokens are known when the lead has been read. */
const attributed = (part, lead, isLeadRead, state, ask) =>
  attempt(part, "attribute", async () => {
    await isLeadRead;
    const { target, timestep } = targetOf(lead, state);
    const method = lead.model.default_attribution;
    part.asked.attribute = questions.attribute(part.model, state.text, target, timestep, method);
    [part.attribution] = (await ask(part.asked.attribute)).results;
    part.attribution = { ...part.attribution, timestep };
  });

const edited = (part, state, ask) =>
  attempt(part, "intervene", async () => {
    part.asked.intervene = questions.intervene(part.model, state);
    part.edited = await ask(part.asked.intervene);
  });

async function fadingOf(answer, sibling, state, ask) {
  const part = { model: sibling, asked: { memory: questions.fading(sibling, state.text) }, problems: {} };
  await attempt(part, "memory", async () => {
    part.fading = (await ask(part.asked.memory)).results[0].fading;
  });
  answer.sibling = part;
}

/** What is explained: a label, or the tag at a token; by default the predicted one, of a tagger the first entity's. */
export function targetOf(part, state) {
  const known = (part.model.tags ?? part.model.labels).includes(state.target) ? state.target : null;
  if (!questions.isTagger(part.model)) return { target: known ?? part.prediction.labels[0].label, timestep: null };
  const tags = decodedTags(part);
  const first = Math.max(0, tags.findIndex((tag) => tag !== "O"));
  const timestep = state.at !== null && state.at < part.tokens ? state.at : first;
  return { target: (state.at === null ? null : known) ?? tags[timestep] ?? null, timestep };
}

/** The tag of each token, from the entities' offsets: both count UTF-16 units, as strings here do. */
export function decodedTags(part) {
  const tags = Array(part.tokens).fill("O");
  for (const { label, start, end } of part.prediction.entities ?? [])
    for (const token of part.tokenList ?? [])
      if (token.start >= start && token.end <= end) tags[token.index] = `${token.start === start ? "B" : "I"}-${label}`;
  return tags;
}

function createScores(tensor) {
  const { values, shape } = decoded(tensor);
  return { at: (t, tag) => values[t * shape[1] + tag] };
}

/** Units in the order of the state's choice, largest first; with a brush only those inside of it. */
export function unitOrder(part, state) {
  const units = Array.from({ length: part.model.units }, (_, u) => u).filter((u) => isBrushed(part, state.brush, u));
  const keys = sortKeys(part, state.sort);
  return keys ? units.sort((a, b) => keys[b] - keys[a] || a - b) : units;
}

function sortKeys(part, sort) {
  if (sort === "contribution") return part.unitEffects ?? null;
  const halfLives = part.reductions?.forget_gate?.half_life_tokens?.[0][0];
  return sort === "half_life" && halfLives ? halfLives.map((tokens) => tokens ?? Infinity) : null;
}

export function isBrushed(part, brush, unit) {
  const found = brush && part.reductions?.[brush[0]];
  if (!found?.fraction_low) return true;
  const [low, high] = [found.fraction_low[0][0][unit], found.fraction_high[0][0][unit]];
  return low >= brush[1] && low <= brush[2] && high >= brush[3] && high <= brush[4];
}

export function unitsInView(part, state) {
  const pages = Math.max(1, Math.ceil(part.order.length / questions.UNITS));
  const page = Math.min(state.page, pages - 1);
  return part.order.slice(page * questions.UNITS, (page + 1) * questions.UNITS);
}
