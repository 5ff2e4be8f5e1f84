/** Assembly: state, questions and views. Data flows one way: state -> answers -> frames -> what is drawn. */
import { createAsker } from "./answers.js";
import { createClient } from "./api.js";
import { drawCards, drawFoot, drawStepCards, drawSum, clearSum } from "./cards.js";
import { drawGateBar, drawHeader, drawStream, drawText, drawTimeline, markTimeline, writeWords } from "./controls.js";
import { find, html, replace } from "./dom.js";
import { examplesFor } from "./examples.js";
import { createFrame, stepOf } from "./frame.js";
import { listenToKeys } from "./keys.js";
import { drawLanes, hoverStream, laneRoom, moveStep, redrawLane } from "./lanes.js";
import { announce, badge } from "./menu.js";
import { readPalette } from "./palette.js";
import { counterpart, pairOf, startModel } from "./models.js";
import { decode, encode } from "./permalink.js";
import { WINDOW, unitSum } from "./questions.js";
import { createStore, INITIAL } from "./store.js";
import { drawProblem } from "./trouble.js";
import { createPlayer } from "./player.js";
import { createStream } from "./stream.js";
import { drawTour, pointAt, showTour } from "./guide.js";
import { forgetBefore } from "./views/edits.js";
import * as outcome from "./views/outcome.js";
import * as overview from "./views/overview.js";
import * as streamed from "./views/streamed.js";
import { speak, words } from "./words.js";

const TYPING_MS = 30; // a pause in the typing, before the server is asked
const EARLY_MS = 80; // after which a label is shown before its explanation
const FREED = { step: null, at: null, hover: null, from: 0, edits: [], playing: false };
const client = createClient();
const linked = decode(location.hash);
const language = navigator.language?.startsWith("zh") ? "zh" : "en";
const store = createStore({ lang: language, ...linked });
const asker = createAsker(client, receive);
const page = { models: [], answer: null, frames: [], typing: 0, early: 0, saving: 0, sum: null };
const stream = createStream(client, showStream);
const player = createPlayer(() => move(1, false));

const modelNamed = (name) => page.models.find((model) => model.name === name);
const lead = () => page.frames.at(-1);

const act = {
  hasKey: client.hasKey,
  set: (patch) => store.set(patch),
  target: (target) => store.set(target),
  hover: (hover) => store.set({ hover }),
  unit: (unit) => store.set({ unit }),
  brush: (brush) => store.set({ brush, page: 0 }),
  step: (step, unit) => store.set({ step, playing: false, ...(unit === null ? {} : { unit }) }),
  move: (by) => move(by, true),
  play: () => store.set({ playing: !store.get().playing }),
  edit: (edit) => store.set({ edits: [...store.get().edits.filter((e) => !sameGate(e, edit)), edit].slice(-64) }),
  forget: () => store.set({ edits: [...store.get().edits, ...forgetBefore(lead(), lead().step)].slice(-64) }),
  undo: (count) => store.set({ edits: store.get().edits.slice(0, -count) }),
  sum: (gate, unit, step) => showSum(gate, unit, step),
  contexts: (question, tell) => asker.ask(question).then(tell, () => {}),
};

const sameGate = (a, b) => a.target === b.target && a.timesteps[0] === b.timesteps[0] && String(a.units) === String(b.units);

function move(by, isByHand) {
  const frame = lead();
  if (!frame) return;
  const step = Math.max(0, Math.min(frame.tokens.length - 1, frame.step + by));
  const { first, last } = frame.axis;
  const from = step < first || step >= last ? { from: Math.max(0, step - WINDOW / 2) } : {};
  const isOver = step === frame.step && !isByHand;
  store.set({ step, ...from, ...(isByHand || isOver ? { playing: false } : {}) });
}

async function start() {
  writeAll();
  try {
    page.models = (await client.get("v1/models")).models;
  } catch (problem) {
    return drawProblem(problem, start, client);
  }
  if (!page.models.length) return drawProblem(new Error(words("none_loaded")), null, client);
  drawProblem(null);
  const model = modelNamed(store.get().model) ?? startModel(page.models, store.get().lang);
  store.set({ model: model.name, text: "text" in linked ? store.get().text : (examplesFor(model)[0] ?? "") });
  if (linked.tour !== undefined && linked.model === undefined) showTour(store, linked.tour);
  writeAll();
  followStream();
  refresh();
}

function refresh() {
  const state = store.get();
  const model = modelNamed(state.model);
  if (!model) return;
  find("#main").setAttribute("aria-busy", "true");
  const other = counterpart(model, page.models);
  const pair = state.compare && other ? pairOf(model, other) : [model];
  asker.refresh(state, { shown: pair, sibling: pair.length === 1 ? other : null });
}

function receive(answer) {
  page.answer = answer;
  clearTimeout(page.early);
  if (answer.isPartial) {
    page.early = setTimeout(() => drawAnswer(answer), EARLY_MS); // the rest mostly comes sooner: one drawing, not two
    return;
  }
  if (answer.problem) {
    find("#main").setAttribute("aria-busy", "false");
    return drawProblem(answer.problem, answer.problem.status === 401 ? start : refresh, client);
  }
  drawProblem(null);
  drawAnswer(answer);
  drawBody();
  find("#main").setAttribute("aria-busy", "false");
  find("#main").dataset.shown = answer.text;
}

function drawAnswer(answer) {
  const state = store.get();
  const place = find("#answer");
  place.classList.toggle("two", answer.parts.length > 1);
  if (!answer.parts.length) return replace(place, html("p", { class: "none" }, words("empty")));
  const chosen = answer.parts.at(-1);
  const target = chosen.model.tags
    ? { timestep: chosen.attribution?.timestep }
    : chosen.model.labels.includes(state.target) ? state.target : chosen.prediction.labels[0].label; // prettier-ignore
  const boxes = answer.parts.map((part) =>
    html("div", {}, answer.parts.length > 1 && html("h2", {}, part.model.cell.toUpperCase()), ...outcome.draw(part, target, state, act.target)),
  );
  replace(place, ...boxes);
  const best = chosen.prediction.labels?.[0];
  if (!answer.isPartial && best) announce(`${best.label} ${best.score.toFixed(2)}`);
}

function drawBody() {
  const { answer } = page;
  if (!answer || answer.problem || answer.isPartial) return;
  const state = store.get();
  find("#body").hidden = !answer.parts.length;
  if (!answer.parts.length) return;
  const lanes = find("#lanes");
  const view = { room: laneRoom(lanes), scroll: lanes.querySelector(".lane-body")?.scrollLeft ?? 0, palette: readPalette() };
  page.frames = answer.parts.map((part, n) => {
    const frame = createFrame(part, answer, state, view);
    return Object.assign(frame, { isCompared: answer.parts.length > 1, isLead: n === answer.parts.length - 1 });
  });
  for (const frame of page.frames) frame.step = lead().step;
  const frame = lead();
  const isLong = frame.tokens.length > WINDOW;
  replace(find("#overview"), isLong && overview.draw(frame, (from) => store.set({ from })));
  drawTimeline(frame, act);
  if (frame.tokens.length) drawLanes(page.frames, act);
  drawGateBar(frame, act);
  drawCards(frame, answer, act);
  drawFoot(frame.part, badge);
  pointAt(state);
}

/** The step alone has changed. */
function drawStep(isFollowed) {
  if (!page.frames.length) return;
  const state = store.get();
  for (const frame of page.frames) frame.state = state;
  lead().step = stepOf(lead(), state);
  for (const frame of page.frames) frame.step = lead().step;
  page.sum = null;
  clearSum();
  moveStep(page.frames, isFollowed);
  markTimeline(lead());
  drawStepCards(lead(), act);
}

/** Edits alone have changed: nothing is asked anew but the prediction with them. */
async function refreshEdits() {
  const part = page.answer?.parts.at(-1);
  if (!part || page.answer.isPartial) return refresh();
  const asked = store.get().edits;
  find("#main").setAttribute("aria-busy", "true");
  await asker.edit(part, store.get());
  if (page.answer.parts.at(-1) !== part || store.get().edits !== asked) return;
  drawAnswer(page.answer);
  lead().state = store.get();
  drawTimeline(lead(), act);
  redrawLane("edit", lead(), act);
  find("#main").setAttribute("aria-busy", "false");
}

async function showSum(gate, unit, step) {
  const frame = lead();
  const question = unitSum(frame.model, store.get(), unit, step);
  const close = () => clearSum();
  page.sum = question;
  const answer = await asker.ask(question).catch((problem) => problem);
  if (page.sum === question) drawSum(answer, gate, `sum:${frame.name}:${unit}:${step}`, close);
}

function writeAll(isOtherLanguage = true) {
  const state = store.get();
  if (isOtherLanguage) {
    speak(state.lang);
    writeWords();
  }
  const model = modelNamed(state.model);
  drawHeader(state, page.models, model ? counterpart(model, page.models) : null);
  drawText(state, model, (text) => store.set({ text, ...FREED }));
  drawTour(state, act);
}

/** Sends what is new of the text where the stream is on. */
function followStream() {
  const state = store.get();
  const model = modelNamed(state.model);
  if (state.stream && model?.streamable) stream.follow(model.name, state.text);
  else stream.close();
  if (!state.stream || !model?.streamable) drawStream(state, model, []);
}

function showStream(frames, problem) {
  const state = store.get();
  const model = modelNamed(state.model);
  drawStream(state, model, streamed.draw(model, frames, problem, state));
}

const LOCAL = new Set(["step", "hover", "playing"]);
const ASKED = new Set(["model", "text", "compare", "target", "at", "layer", "direction", "sort", "page", "from", "edits", "brush", "unit"]);

store.subscribe((state, changed) => {
  const isLocal = [...changed].every((key) => LOCAL.has(key));
  if (changed.has("hover")) hoverStream(state.hover);
  if (changed.has("playing")) player.set(state.playing);
  if (!isLocal) {
    writeAll(changed.has("lang"));
    if (["text", "model", "stream"].some((key) => changed.has(key))) followStream();
    const isEdit = changed.has("edits") && changed.size === 1;
    const needsAnswer = [...changed].some((key) => ASKED.has(key));
    clearTimeout(page.typing);
    if (isEdit) refreshEdits();
    else if (needsAnswer) page.typing = setTimeout(refresh, changed.has("text") ? TYPING_MS : 0);
    else if (page.answer && !page.answer.problem) {
      drawAnswer(page.answer);
      drawBody();
    }
  } else if (changed.has("step")) drawStep(true);
  if (changed.has("playing") && lead()) {
    lead().state = state;
    drawTimeline(lead(), act);
  }
  clearTimeout(page.saving);
  page.saving = setTimeout(() => history.replaceState(null, "", encode(store.get())), 150);
});

function choose(name) {
  const model = modelNamed(name);
  const before = modelNamed(store.get().model);
  const isExample = !store.get().text.trim() || (before && examplesFor(before).includes(store.get().text));
  const fits = examplesFor(model).includes(store.get().text);
  const text = isExample && !fits ? (examplesFor(model)[0] ?? store.get().text) : store.get().text;
  store.set({ model: name, text, ...FREED, target: null, layer: 0, direction: "forward", unit: null, brush: null, page: 0, editing: false });
}

find("#model").addEventListener("change", (event) => choose(event.target.value));
find("#text").addEventListener("input", (event) => store.set({ text: event.target.value, ...FREED }));
find("#compare").addEventListener("click", () => store.set({ compare: !store.get().compare, brush: null }));
find("#language").addEventListener("click", () => store.set({ lang: store.get().lang === "zh" ? "en" : "zh" }));
find("#theme").addEventListener("click", () => {
  const isDark = getComputedStyle(document.documentElement).getPropertyValue("--dark").trim() === "1";
  store.set({ theme: isDark ? "light" : "dark" });
});
find("#stream").addEventListener("click", () => store.set({ stream: !store.get().stream }));
find("#tour").addEventListener("click", () => showTour(store, store.get().tour === null ? 0 : null));
addEventListener("hashchange", () => store.set({ ...INITIAL, lang: store.get().lang, ...decode(location.hash) }));
let resizing;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(drawBody, 60);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawBody);
listenToKeys(act);
start();
